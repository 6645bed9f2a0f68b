#include "bench/environment.h"

#include <openssl/evp.h>
#include <sys/utsname.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <thread>

namespace realizar::bench {
namespace {

// The value of the first line "name<spaces>:<space>value" of a file of the kernel.
std::optional<std::string> field(const char *path, const std::string &name, char separator) {
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
        if (!line.starts_with(name)) continue;
        const size_t at = line.find(separator);
        if (at == std::string::npos) continue;
        const size_t begin = line.find_first_not_of(" \t\"", at + 1);
        if (begin == std::string::npos) return std::nullopt;
        return line.substr(begin, line.find_last_not_of(" \t\"") + 1 - begin);
    }
    return std::nullopt;
}

Json or_null(const std::optional<std::string> &text) { return text ? Json(*text) : Json(nullptr); }

// Those instruction sets that kernels are chosen by.
Json cpu_flags() {
    constexpr const char *kTold[] = {"sse4_2",      "avx",         "f16c",        "fma",
                                     "avx2",        "avx_vnni",    "avx512f",     "avx512bw",
                                     "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_int8",
                                     "asimddp",     "i8mm",        "sve"};
    auto line = field("/proc/cpuinfo", "flags", ':');
    if (!line) line = field("/proc/cpuinfo", "Features", ':'); // on Arm
    if (!line) return nullptr;
    Json flags = Json::array();
    const std::string padded = " " + *line + " ";
    for (const char *flag : kTold)
        if (padded.find(" " + std::string(flag) + " ") != std::string::npos) flags.push_back(flag);
    return flags;
}

Json memory_gb() {
    const auto text = field("/proc/meminfo", "MemTotal", ':');
    unsigned long long kib = 0;
    if (!text || std::sscanf(text->c_str(), "%llu", &kib) != 1) return nullptr;
    return static_cast<double>(kib) / (1 << 20);
}

Json governor() {
    std::ifstream file("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
    std::string word;
    return file >> word ? Json(word) : Json(nullptr);
}

std::string compiler() {
#if defined(__clang__)
    return "clang " __clang_version__;
#else
    return "gcc " __VERSION__;
#endif
}

// SHA-256 as hexadecimal text; empty if the library refuses it.
class Digest {
  public:
    Digest() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
        good_ = context_ && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1;
    }
    void add(std::span<const std::byte> data) {
        good_ = good_ && EVP_DigestUpdate(context_.get(), data.data(), data.size()) == 1;
    }
    std::string finish() {
        unsigned char bytes[EVP_MAX_MD_SIZE];
        unsigned size = 0;
        if (!good_ || EVP_DigestFinal_ex(context_.get(), bytes, &size) != 1) return {};
        std::string text;
        char pair[3];
        for (unsigned i = 0; i < size; ++i) {
            std::snprintf(pair, sizeof pair, "%02x", bytes[i]);
            text += pair;
        }
        return text;
    }

  private:
    std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX *)> context_;
    bool good_ = false;
};

} // namespace

Json environment_json() {
    utsname name{};
    const bool known = uname(&name) == 0;
    return {
        {"cpu", or_null(field("/proc/cpuinfo", "model name", ':'))},
        {"cores", std::max(1u, std::thread::hardware_concurrency())},
        {"cpu_flags", cpu_flags()},
        {"governor", governor()},
        {"memory_gb", memory_gb()},
        {"kernel", known ? Json(std::string(name.sysname) + " " + name.release) : Json(nullptr)},
        {"system", or_null(field("/etc/os-release", "PRETTY_NAME", '='))},
        {"compiler", compiler()}};
}

std::optional<uint64_t> peak_resident_bytes() {
    const auto text = field("/proc/self/status", "VmHWM", ':');
    unsigned long long kib = 0;
    if (!text || std::sscanf(text->c_str(), "%llu", &kib) != 1) return std::nullopt;
    return kib * 1024;
}

void reset_peak_resident() { std::ofstream("/proc/self/clear_refs") << "5"; } // proc(5)

std::string sha256(std::span<const std::byte> data) {
    Digest digest;
    digest.add(data);
    return digest.finish();
}

Result<std::string> sha256_of_file(const std::string &path) {
    std::ifstream file(path, std::ios::binary);
    if (!file)
        return make_error(Code::io, "open_failed", "%s: cannot be opened",
                          printable(path, 200).c_str());
    Digest digest;
    std::vector<char> piece(size_t{1} << 20);
    while (file.read(piece.data(), static_cast<std::streamsize>(piece.size())), file.gcount() > 0)
        digest.add(std::as_bytes(std::span(piece).first(static_cast<size_t>(file.gcount()))));
    return digest.finish();
}

} // namespace realizar::bench
