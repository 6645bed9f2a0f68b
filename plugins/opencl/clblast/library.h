// CLBlast, a library of linear algebra for OpenCL: opened at run time like the loader, so that nothing asks
// for it. Its declarations (clblast_c.h, the same in all versions 1.x) are repeated here for what this
// backend calls.
#pragma once

#include "plugins/opencl/cl/failure.h"

#include <optional>
#include <string>

namespace realizar::opencl {

// y [rows, n] = x [rows, k] * w [n, k] transposed, all of F32. Offsets and distances between rows are in
// elements. `room`: memory of CLBlast's own, whatever it holds.
struct Sgemm {
    size_t rows, n, k;
    cl_mem x, w, y, room;
    size_t x_at, x_stride, w_at, w_stride, y_at, y_stride;
};

class Clblast {
  public:
    // Throws RZ_UNAVAILABLE with the reason where `file` cannot be used: objects go from `api` to CLBlast,
    // so both must stand on the same loader.
    Clblast(const char *file, const Api &api);

    // Of the file that was found, which ends in the version: "libclblast.so.1.5.3".
    const std::string &name() const { return name_; }
    // How much of `room` it needs; the buffers of `product` do not count.
    uint64_t room_bytes(const Sgemm &product, cl_command_queue queue) const;
    // [any-thread] Queues it. `event`: null, or gets that of its last kernel.
    void queue(const Sgemm &product, cl_command_queue queue, cl_event *event) const;
    // [any-thread] Gives back all kernels that it has built; they hold the contexts they were built for.
    void forget() const;

  private:
    using Enum = unsigned;
    using Multiply = cl_int (*)(Enum layout, Enum a_transposed, Enum b_transposed, size_t m,
                                size_t n, size_t k, float alpha, cl_mem a, size_t a_at,
                                size_t a_stride, cl_mem b, size_t b_at, size_t b_stride, float beta,
                                cl_mem c, size_t c_at, size_t c_stride, cl_command_queue *queue,
                                cl_event *event, cl_mem room);
    using Room = cl_int (*)(Enum layout, Enum a_transposed, Enum b_transposed, size_t m, size_t n,
                            size_t k, size_t a_at, size_t a_stride, size_t b_at, size_t b_stride,
                            size_t c_at, size_t c_stride, cl_command_queue *queue, size_t *bytes);
    using Forget = cl_int (*)();

    Multiply multiply_ = nullptr;
    Room room_ = nullptr;
    Forget forget_ = nullptr;
    std::string name_;
};

// The installed one, for as long as the process lives; without a value the reason.
struct FoundClblast {
    std::optional<Clblast> library;
    std::string reason;
};
const FoundClblast &find_clblast(const Api &api);

// Held by each device that may call it: with the last one go its kernels.
class ClblastUser {
  public:
    explicit ClblastUser(const Clblast &library);
    ~ClblastUser();
    ClblastUser(const ClblastUser &) = delete;
    ClblastUser &operator=(const ClblastUser &) = delete;
    const Clblast &library() const { return library_; }

  private:
    const Clblast &library_;
};

} // namespace realizar::opencl
