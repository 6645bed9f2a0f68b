// The one place that touches TBB. Compiled without the thread sanitizer: libtbb is not built with
// it, so its hand-over between threads is invisible there; pool.cpp tells the sanitizer instead.
#pragma once

#include <cstdint>
#include <memory>

namespace realizar::cpu {

class TbbPool {
  public:
    explicit TbbPool(unsigned threads);
    ~TbbPool();

    // Calls body(context, i, worker) for each i < n and returns when all have ended; worker is below
    // the number of threads and no two bodies of one run share it at a time.
    using Body = void (*)(void *context, uint64_t i, unsigned worker);
    void run(uint64_t n, Body body, void *context);

  private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace realizar::cpu
