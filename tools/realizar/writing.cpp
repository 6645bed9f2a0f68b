#include "tools/realizar/writing.h"

#include <filesystem>

namespace realizar::cli {

Status check_output(const std::string &in, const std::string &out) {
    std::error_code ignored; // paths that do not exist are not equivalent
    if (!std::filesystem::equivalent(in, out, ignored)) return {};
    return make_error(Code::invalid_argument, "bad_option",
                      "output: expected another file than the input, found '%s' for both",
                      printable(out, 200).c_str());
}

std::function<void(uint64_t, const std::function<void(uint64_t)> &)>
lent_threads(Backends &backends) {
    backends.open_pool();
    return [host = &backends.host()](uint64_t count, const std::function<void(uint64_t)> &body) {
        const auto range = [](void *context, uint64_t begin, uint64_t end) {
            for (; begin < end; ++begin)
                (*static_cast<const std::function<void(uint64_t)> *>(context))(begin);
        };
        // The callback only reads the body.
        host->parallel_for(count, 1, range, const_cast<void *>(static_cast<const void *>(&body)));
    };
}

} // namespace realizar::cli
