// Ctrl-C: the first one asks the running work to end, the next one ends the process.
#pragma once

#include "core/engine/session.h"
#include "core/plugin/host.h"

namespace realizar::cli {

// Takes over SIGINT and SIGTERM for its lifetime. One at a time.
class Interrupt {
  public:
    Interrupt();
    ~Interrupt();
    Interrupt(const Interrupt &) = delete;
    Interrupt &operator=(const Interrupt &) = delete;

    static bool requested();
    static void clear(); // also at what is watched
    // What a signal cancels at once, besides setting requested(); nullptr to let go of it.
    static void watch(Session *session);
    static void watch(Host *host);
    static void let_go(Host *host); // if it is watched
};

} // namespace realizar::cli
