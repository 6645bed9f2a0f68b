#include "core/format/file_writer.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

namespace realizar {

Error FileWriter::failed(const char *what) const {
    return make_error(Code::io, "write_failed", "%s: %s: %s",
                      printable(part_.native(), 4096).c_str(), what, std::strerror(errno));
}

void FileWriter::abandon() {
    if (descriptor_ < 0) return;
    ::close(descriptor_);
    ::unlink(part_.c_str());
    descriptor_ = -1;
}

// A new file beside the target: rename is atomic only within one file system.
Status FileWriter::create(const std::filesystem::path &path) {
    static std::atomic<uint32_t> counter{0};
    abandon();
    path_ = part_ = path;
    part_ += ".part-" + std::to_string(::getpid()) + "-" + std::to_string(counter++);
    descriptor_ = ::open(part_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (descriptor_ < 0) return failed("cannot create");
    return {};
}

Status FileWriter::write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
        // Linux writes at most about 2 GiB per call.
        const size_t most = std::min<size_t>(bytes.size(), size_t(1) << 30);
        const ssize_t done = ::write(descriptor_, bytes.data(), most);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) {
            Error error = failed("cannot write");
            abandon();
            return error;
        }
        bytes = bytes.subspan(static_cast<size_t>(done));
    }
    return {};
}

Status FileWriter::pad(uint64_t zeros) {
    static constexpr std::byte kZeros[4096] = {};
    while (zeros > 0) {
        const uint64_t step = std::min<uint64_t>(zeros, sizeof kZeros);
        RZ_TRY(write(std::span(kZeros, step)));
        zeros -= step;
    }
    return {};
}

Status FileWriter::finish() {
    const int descriptor = std::exchange(descriptor_, -1);
    bool done = ::fsync(descriptor) == 0;
    done = ::close(descriptor) == 0 && done;
    done = done && ::rename(part_.c_str(), path_.c_str()) == 0;
    if (done) return {};
    Error error = failed("cannot finish");
    ::unlink(part_.c_str());
    return error;
}

} // namespace realizar
