#include "plugins/opencl/cl/programs.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <vector>

namespace realizar::opencl {

namespace {

// FNV-1a, 64 bits (Fowler, Noll, Vo): tells sources and damaged entries apart, no more.
uint64_t hash(std::string_view bytes, uint64_t start = 0xcbf29ce484222325ull) {
    for (const char c : bytes)
        start = (start ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
    return start;
}

// Before the binary in a cache entry.
struct EntryHead {
    char magic[8] = {'r', 'z', 'o', 'p', 'e', 'n', 'c', 'l'};
    uint64_t size = 0, checksum = 0;
};

std::string_view find_source(std::string_view name) {
    for (const Source &source : all_sources())
        if (source.name == name) return {reinterpret_cast<const char *>(source.text), source.size};
    raise(RZ_INTERNAL, "there is no kernel source %.*s", static_cast<int>(name.size()),
          name.data());
}

// Conditional includes stay conditional: a guard around each copy makes it count once.
void expand(std::string_view name, int depth, std::string &out) {
    constexpr std::string_view kInclude = "#include \"";
    constexpr int kDeepest = 8;
    if (depth > kDeepest) raise(RZ_INTERNAL, "the kernel sources include each other in a circle");
    std::string guard(name);
    std::replace_if(
        guard.begin(), guard.end(), [](char c) { return c == '/' || c == '.'; }, '_');
    out += "#ifndef INCLUDED_" + guard + "\n#define INCLUDED_" + guard + "\n";
    std::string_view rest = find_source(name);
    while (!rest.empty()) {
        const size_t end = std::min(rest.find('\n'), rest.size() - 1) + 1;
        const std::string_view line = rest.substr(0, end);
        rest.remove_prefix(end);
        if (line.starts_with(kInclude))
            expand(line.substr(kInclude.size(), line.rfind('"') - kInclude.size()), depth + 1, out);
        else
            out += line;
    }
    out += "#endif\n";
}

} // namespace

std::string expand_source(std::string_view name) {
    std::string out;
    expand(name, 0, out);
    return out;
}

Programs::Programs(Gpu &gpu) : gpu_(gpu) {
    common_options_ = " -w"; // some drivers print their warnings
    if (gpu.features().ptx)
        common_options_ += " -DUSE_PTX";
    else if (gpu.features().dot)
        common_options_ += " -DUSE_DOT -cl-std=CL3.0";
}

Kernel Programs::kernel(const std::string &name, const std::string &options) {
    const std::lock_guard lock(mutex_);
    Program &program = made_[name + " " + options];
    if (!program) program = make(name, options + common_options_);
    cl_int result = CL_SUCCESS;
    Kernel kernel(gpu_.api(), gpu_.api().clCreateKernel(program.get(), name.c_str(), &result));
    check(result, "clCreateKernel");
    return kernel;
}

void Programs::local_size(const Kernel &kernel, size_t (&out)[3]) const {
    check(gpu_.api().clGetKernelWorkGroupInfo(kernel.get(), gpu_.physical().handle,
                                              CL_KERNEL_COMPILE_WORK_GROUP_SIZE, sizeof(out), out,
                                              nullptr),
          "clGetKernelWorkGroupInfo");
}

Program Programs::make(const std::string &name, const std::string &options) {
    const std::string text = expand_source(name + ".cl");
    const Physical &physical = gpu_.physical();
    char key[96];
    std::snprintf(key, sizeof(key), "opencl-%s-%016llx-%016llx", name.c_str(),
                  wide(hash(text, hash(options))),
                  wide(hash(physical.name, hash(physical.driver))));
    if (Program cached = from_cache(key, options)) return cached;
    const char *source = text.c_str();
    const size_t size = text.size();
    cl_int result = CL_SUCCESS;
    Program program(gpu_.api(), gpu_.api().clCreateProgramWithSource(gpu_.context(), 1, &source,
                                                                     &size, &result));
    check(result, "clCreateProgramWithSource");
    build(program.get(), name, options);
    to_cache(key, program.get());
    return program;
}

void Programs::build(cl_program program, const std::string &name, const std::string &options) {
    const Api &api = gpu_.api();
    const cl_device_id device = gpu_.physical().handle;
    const cl_int result =
        api.clBuildProgram(program, 1, &device, options.c_str(), nullptr, nullptr);
    if (result == CL_SUCCESS) return;
    size_t size = 0;
    api.clGetProgramBuildInfo(program, device, CL_PROGRAM_BUILD_LOG, 0, nullptr, &size);
    std::string log(size, '\0');
    if (size)
        api.clGetProgramBuildInfo(program, device, CL_PROGRAM_BUILD_LOG, size, log.data(), nullptr);
    const std::string text = "opencl: " + name + ".cl" + options + ": " + log;
    gpu_.host().log(gpu_.host().self, RZ_LOG_ERROR, text.c_str());
    raise(RZ_INTERNAL, "the driver could not build %s.cl (%d): %.300s", name.c_str(), result,
          log.c_str());
}

// None where there is no entry, or one that is damaged or that the driver refuses.
Program Programs::from_cache(const std::string &key, const std::string &options) {
    const rz_host &host = gpu_.host();
    uint64_t size = 0;
    if (host.cache_get(host.self, key.c_str(), nullptr, &size) != RZ_BUSY ||
        size <= sizeof(EntryHead) || size > (uint64_t{1} << 28))
        return {};
    std::vector<unsigned char> entry(size);
    if (host.cache_get(host.self, key.c_str(), entry.data(), &size) != RZ_OK ||
        size != entry.size())
        return {};
    EntryHead head;
    std::memcpy(&head, entry.data(), sizeof(head));
    const unsigned char *binary = entry.data() + sizeof(head);
    const size_t bytes = entry.size() - sizeof(head);
    const std::string_view content(reinterpret_cast<const char *>(binary), bytes);
    if (std::memcmp(head.magic, EntryHead().magic, sizeof(head.magic)) != 0 || head.size != bytes ||
        head.checksum != hash(content))
        return {};
    const cl_device_id device = gpu_.physical().handle;
    cl_int status = CL_SUCCESS, result = CL_SUCCESS;
    Program program(gpu_.api(), gpu_.api().clCreateProgramWithBinary(
                                    gpu_.context(), 1, &device, &bytes, &binary, &status, &result));
    if (result != CL_SUCCESS || status != CL_SUCCESS) return {};
    if (gpu_.api().clBuildProgram(program.get(), 1, &device, options.c_str(), nullptr, nullptr) !=
        CL_SUCCESS)
        return {};
    return program;
}

// Without success nothing is lost but time.
void Programs::to_cache(const std::string &key, cl_program program) {
    const Api &api = gpu_.api();
    size_t size = 0;
    if (api.clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, sizeof(size), &size, nullptr) !=
            CL_SUCCESS ||
        size == 0)
        return;
    std::vector<unsigned char> entry(sizeof(EntryHead) + size);
    unsigned char *binary = entry.data() + sizeof(EntryHead);
    if (api.clGetProgramInfo(program, CL_PROGRAM_BINARIES, sizeof(binary), &binary, nullptr) !=
        CL_SUCCESS)
        return;
    EntryHead head;
    head.size = size;
    head.checksum = hash({reinterpret_cast<const char *>(binary), size});
    std::memcpy(entry.data(), &head, sizeof(head));
    gpu_.host().cache_put(gpu_.host().self, key.c_str(), entry.data(), entry.size());
}

} // namespace realizar::opencl
