#include "tools/realizar/interrupt.h"

#include <atomic>
#include <csignal>

namespace realizar::cli {
namespace {

// All that the handler touches is lock-free: Session::cancel and Host::cancel store one atomic.
std::atomic<bool> g_requested{false};
std::atomic<Session *> g_session{nullptr};
std::atomic<Host *> g_host{nullptr};
static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<Host *>::is_always_lock_free);

constexpr int kSignals[] = {SIGINT, SIGTERM};

void on_signal(int signal) {
    if (g_requested.exchange(true)) {
        std::signal(signal, SIG_DFL);
        std::raise(signal);
        return;
    }
    if (Session *session = g_session) session->cancel();
    if (Host *host = g_host) host->cancel(true);
}

} // namespace

Interrupt::Interrupt() {
    // Without SA_RESTART a read from the terminal ends with EINTR.
    struct sigaction action {};
    action.sa_handler = on_signal;
    for (const int signal : kSignals)
        ::sigaction(signal, &action, nullptr);
}

Interrupt::~Interrupt() {
    for (const int signal : kSignals)
        std::signal(signal, SIG_DFL);
    watch(static_cast<Session *>(nullptr));
    watch(static_cast<Host *>(nullptr));
}

bool Interrupt::requested() { return g_requested; }

void Interrupt::clear() {
    if (Session *session = g_session) session->clear_cancel();
    if (Host *host = g_host) host->cancel(false);
    g_requested = false;
}

void Interrupt::watch(Session *session) {
    g_session = session;
    if (session && requested()) session->cancel(); // the signal came before
}

void Interrupt::watch(Host *host) {
    g_host = host;
    if (host && requested()) host->cancel(true);
}

void Interrupt::let_go(Host *host) { g_host.compare_exchange_strong(host, nullptr); }

} // namespace realizar::cli
