#include "tools/ctk/runner.h"

#include "tools/ctk/child.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <deque>
#include <optional>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

namespace realizar::ctk {
namespace {

using Clock = std::chrono::steady_clock;
constexpr size_t kOutputTail = 4000;
constexpr size_t kNoCase = ~size_t{0};

struct Batch {
    size_t begin, end;
};

struct Running {
    ChildProcess process;
    Batch batch;
    size_t current = kNoCase; // started and not ended
    size_t next = 0;          // first that has not started
    Clock::time_point last_sign;
    std::string unread;
    bool killed = false;
    bool ended = false;
};

std::deque<Batch> make_batches(const CaseList &cases) {
    std::deque<Batch> batches;
    for (size_t i = 0; i < cases.size(); ++i) {
        const bool joins = !batches.empty() && !cases[i].isolated &&
                           !cases[batches.back().begin].isolated &&
                           cases[i].suite == cases[batches.back().begin].suite &&
                           cases[i].level == cases[batches.back().begin].level;
        if (joins)
            batches.back().end = i + 1;
        else
            batches.push_back({i, i + 1});
    }
    return batches;
}

std::string describe_death(int status) {
    if (WIFSIGNALED(status))
        return std::string("the process was ended by SIG") + sigabbrev_np(WTERMSIG(status));
    return "the process ended itself with exit code " + std::to_string(WEXITSTATUS(status));
}

class Runner {
  public:
    Runner(const CaseList &cases, const RunnerOptions &options,
           const std::function<void(const CaseResult &)> &on_result)
        : cases_(cases), options_(options), on_result_(on_result), results_(cases.size()),
          starts_(cases.size()) {
        for (size_t i = 0; i < cases.size(); ++i) {
            results_[i].name = cases[i].full_name();
            results_[i].level = cases[i].level;
            results_[i].suite = cases[i].suite;
            results_[i].type = cases[i].type;
            results_[i].seed = seed_of(results_[i].name, options.target.seed);
        }
        waiting_ = make_batches(cases);
    }

    std::vector<CaseResult> run() {
        while (!waiting_.empty() || !running_.empty()) {
            while (!waiting_.empty() && running_.size() < options_.jobs)
                start();
            wait_for_signs();
            for (Running &child : running_)
                attend(child);
            std::erase_if(running_, [](const Running &child) { return child.ended; });
        }
        for (CaseResult &extra : extra_)
            results_.push_back(std::move(extra));
        return std::move(results_);
    }

  private:
    void start() {
        Running child;
        child.batch = waiting_.front();
        waiting_.pop_front();
        child.next = child.batch.begin;
        child.last_sign = Clock::now();
        child.process = spawn_child(cases_, child.batch.begin, child.batch.end, options_.target);
        if (child.process.pid < 0) {
            for (size_t i = child.batch.begin; i < child.batch.end; ++i)
                finish(i, Verdict::fail, "the system refused a child process", child);
            return;
        }
        running_.push_back(std::move(child));
    }

    void wait_for_signs() {
        std::vector<pollfd> files;
        for (const Running &child : running_)
            files.push_back({child.process.progress, POLLIN, 0});
        if (!files.empty()) poll(files.data(), files.size(), 100);
    }

    void attend(Running &child) {
        char buffer[65536];
        ssize_t got;
        while ((got = read(child.process.progress, buffer, sizeof buffer)) > 0)
            child.unread.append(buffer, static_cast<size_t>(got));
        size_t stop;
        while ((stop = child.unread.find('\n')) != std::string::npos) {
            take_line(child, child.unread.substr(0, stop));
            child.unread.erase(0, stop + 1);
        }
        if (got == 0) {
            reap(child);
        } else if (!child.killed && Clock::now() - child.last_sign > options_.timeout) {
            kill(-child.process.pid, SIGKILL);
            child.killed = true;
        }
    }

    void take_line(Running &child, const std::string &text) {
        const auto line = nlohmann::json::parse(text, nullptr, false);
        const bool known = line.is_array() && line.size() >= 2 && line[0].is_string() &&
                           line[1].is_number_unsigned() && line[1] < child.batch.end;
        if (!known) return; // not ours: the plugin wrote to a descriptor that is not its own
        const size_t i = line[1];
        child.last_sign = Clock::now();
        if (line[0] == "start") {
            child.current = i;
            child.next = i + 1;
            starts_[i] = child.last_sign;
        } else if (line[0] == "end" && line.size() == 6 && i == child.current) {
            child.current = kNoCase;
            results_[i].payload = line[5];
            const Verdict verdict = line[2].get<bool>()   ? Verdict::pass
                                    : line[3].get<bool>() ? Verdict::unsupported
                                                          : Verdict::fail;
            finish(i, verdict, line[4], child);
        }
    }

    void reap(Running &child) {
        int status = 0;
        waitpid(child.process.pid, &status, 0);
        kill(-child.process.pid, SIGKILL); // what the plugin may have started
        const bool died = !WIFEXITED(status) || WEXITSTATUS(status) != 0;
        if (child.current != kNoCase || (died && child.next < child.batch.end)) {
            const size_t culprit = child.current != kNoCase ? child.current : child.next;
            child.next = culprit + 1;
            const std::string limit = std::to_string(options_.timeout.count()) + " ms";
            finish(culprit, child.killed ? Verdict::hang : Verdict::crash,
                   child.killed ? "no end within " + limit : describe_death(status), child);
        } else if (died) {
            add_extra(child, status);
        }
        if (child.next < child.batch.end) waiting_.push_front({child.next, child.batch.end});
        close(child.process.progress);
        close(child.process.output);
        child.ended = true;
    }

    void add_extra(Running &child, int status) {
        const CaseResult &last = results_[child.batch.end - 1];
        CaseResult extra;
        extra.level = last.level;
        extra.suite = last.suite;
        Case end;
        end.level = last.level;
        end.suite = last.suite;
        end.name = "end-of-process";
        extra.name = end.full_name();
        extra.verdict = child.killed ? Verdict::hang : Verdict::crash;
        extra.message =
            (child.killed ? std::string("the process did not end") : describe_death(status)) +
            " after the last test (" + last.name + ")";
        extra.output = tail_of(child.process.output, kOutputTail);
        on_result_(extra);
        extra_.push_back(std::move(extra));
    }

    void finish(size_t i, Verdict verdict, const std::string &message, const Running &child) {
        CaseResult &result = results_[i];
        result.verdict = verdict;
        result.message = message;
        if (starts_[i] != Clock::time_point{})
            result.seconds = std::chrono::duration<double>(Clock::now() - starts_[i]).count();
        if (verdict != Verdict::pass && verdict != Verdict::unsupported &&
            child.process.output >= 0)
            result.output = tail_of(child.process.output, kOutputTail);
        on_result_(result);
    }

    const CaseList &cases_;
    const RunnerOptions &options_;
    const std::function<void(const CaseResult &)> &on_result_;
    std::vector<CaseResult> results_, extra_;
    std::vector<Clock::time_point> starts_; // per case
    std::deque<Batch> waiting_;
    std::vector<Running> running_;
};

} // namespace

const char *verdict_name(Verdict verdict) {
    switch (verdict) {
    case Verdict::pass: return "PASS";
    case Verdict::fail: return "FAIL";
    case Verdict::crash: return "CRASH";
    case Verdict::hang: return "HANG";
    case Verdict::unsupported: return "UNSUPPORTED";
    }
    return "FAIL";
}

std::vector<CaseResult> run_cases(const CaseList &cases, const RunnerOptions &options,
                                  const std::function<void(const CaseResult &)> &on_result) {
    return Runner(cases, options, on_result).run();
}

} // namespace realizar::ctk
