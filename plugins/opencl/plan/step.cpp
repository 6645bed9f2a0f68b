#include "plugins/opencl/plan/step.h"

#include "plugins/opencl/cl/programs.h"

#include <algorithm>

namespace realizar::opencl {

std::string Recorder::join(std::span<const cl_mem> operands, std::vector<cl_mem> &buffers) {
    const auto begin = static_cast<ptrdiff_t>(buffers.size());
    std::string slots;
    for (size_t i = 0; i < operands.size(); ++i) {
        auto at = std::find(buffers.begin() + begin, buffers.end(), operands[i]);
        if (at == buffers.end()) at = buffers.insert(at, operands[i]);
        slots += " -DSLOT" + std::to_string(i) + '=' + std::to_string(at - buffers.begin() - begin);
    }
    return slots + " -DBUFFERS=" + std::to_string(buffers.size() - static_cast<size_t>(begin));
}

void Recorder::launch(const char *name, const std::string &options, Bytes params,
                      const std::vector<cl_mem> &buffers, Grid grid) {
    if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
    Launch launch;
    launch.name = name;
    launch.kernel = gpu_.programs().kernel(name, options);
    gpu_.programs().local_size(launch.kernel, launch.local);
    const uint64_t groups[] = {grid.x, grid.y, grid.z};
    for (int d = 0; d < 3; ++d)
        launch.global[d] = groups[d] * launch.local[d];
    const Api &api = gpu_.api();
    cl_uint index = 0;
    check(api.clSetKernelArg(launch.kernel.get(), index++, params.size, params.data),
          "clSetKernelArg");
    for (const cl_mem buffer : buffers) {
        if (!dry_)
            check(api.clSetKernelArg(launch.kernel.get(), index, sizeof(buffer), &buffer),
                  "clSetKernelArg");
        ++index;
    }
    out_.push_back(std::move(launch));
}

void Recorder::call(const char *name, std::function<void(cl_command_queue, cl_event *)> call) {
    Launch launch;
    launch.name = name;
    launch.call = std::move(call);
    out_.push_back(std::move(launch));
}

uint64_t Recorder::time(const std::function<void(Recorder &)> &record) const {
    std::vector<Launch> launches;
    Recorder recorder(gpu_, places_, symbols, launches, room_);
    record(recorder);
    return gpu_.time(launches);
}

} // namespace realizar::opencl
