// Level 1, buffers: zeros, odd sizes, bounds, copies.
#include "tools/ctk/levels.h"
#include "tools/ctk/session.h"

#include <algorithm>
#include <cstring>

namespace realizar::ctk {
namespace {

using Data = std::vector<uint8_t>;

Data random_data(Random &random, size_t size) {
    Data data(size);
    for (uint8_t &byte : data)
        byte = static_cast<uint8_t>(random.bits());
    return data;
}

Status read_all(Session &session, rz_buffer *buffer, Data &out) {
    AbiError error;
    return expect_ok(session.api().buffer->read(buffer, 0, out.data(), out.size(), &error), error,
                     "buffer.read");
}

Status are_zeroed(Context &context) {
    RZ_ASSIGN(Session * session, context.session());
    for (const size_t size : {1u, 3u, 64u, 4095u, 65537u, 1u << 20}) {
        // Twice: the second may get the memory that the first has used.
        for (int life = 0; life < 2; ++life) {
            RZ_ASSIGN(const auto buffer, session->buffer(size));
            Data data(size, 0xEE);
            RZ_TRY(read_all(*session, buffer.get(), data));
            const auto dirty =
                std::find_if(data.begin(), data.end(), [](uint8_t byte) { return byte != 0; });
            CTK_CHECK(dirty == data.end(),
                      "a new buffer of %zu bytes: byte %zd is 0x%02x, expected 0", size,
                      dirty - data.begin(), *dirty);
            std::fill(data.begin(), data.end(), 0xEE);
            AbiError error;
            RZ_TRY(
                expect_ok(session->api().buffer->write(buffer.get(), 0, data.data(), size, &error),
                          error, "buffer.write"));
        }
    }
    return {};
}

Status keep_what_is_written(Context &context) {
    RZ_ASSIGN(Session * session, context.session());
    Random random(context.seed);
    constexpr size_t kSize = 5003;
    RZ_ASSIGN(const auto buffer, session->buffer(kSize));
    Data mirror(kSize, 0), found(kSize);
    AbiError error;
    for (int i = 0; i < 200; ++i) {
        const auto offset = static_cast<size_t>(random.integer(0, kSize));
        const auto size = static_cast<size_t>(
            random.integer(0, std::min<int64_t>(700, static_cast<int64_t>(kSize - offset))));
        const Data data = random_data(random, size);
        RZ_TRY(
            expect_ok(session->api().buffer->write(buffer.get(), offset, data.data(), size, &error),
                      error, "buffer.write"));
        std::copy(data.begin(), data.end(), mirror.begin() + static_cast<int64_t>(offset));
        Data part(size);
        RZ_TRY(
            expect_ok(session->api().buffer->read(buffer.get(), offset, part.data(), size, &error),
                      error, "buffer.read"));
        CTK_CHECK(part == data, "read after write of %zu bytes at %zu gives other bytes", size,
                  offset);
    }
    RZ_TRY(read_all(*session, buffer.get(), found));
    CTK_CHECK(found == mirror, "after many writes the buffer differs from what was written");
    if (const void *mapped = session->api().buffer->map(buffer.get()))
        CTK_CHECK(std::memcmp(mapped, mirror.data(), kSize) == 0,
                  "buffer.map shows other bytes than buffer.read");
    else
        CTK_CHECK((session->info().caps & RZ_CAP_HOST_MEMORY) == 0,
                  "buffer.map: NULL, though the device has RZ_CAP_HOST_MEMORY");
    return {};
}

struct Range {
    uint64_t offset, size;
};
constexpr uint64_t kRefusedSize = 1000;
// Also sums that wrap around.
constexpr Range kOutside[] = {{kRefusedSize, 1},     {0, kRefusedSize + 1}, {kRefusedSize - 3, 4},
                              {kRefusedSize + 1, 0}, {UINT64_MAX, 2},       {UINT64_MAX - 7, 16},
                              {8, UINT64_MAX - 3}};

Status refuse_ranges_outside(Context &context) {
    RZ_ASSIGN(Session * session, context.session());
    const rz_buffer_api &api = *session->api().buffer;
    Random random(context.seed);
    RZ_ASSIGN(const auto a, session->buffer(kRefusedSize));
    RZ_ASSIGN(const auto b, session->buffer(kRefusedSize));
    const Data contents = random_data(random, kRefusedSize);
    AbiError error;
    for (rz_buffer *buffer : {a.get(), b.get()})
        RZ_TRY(expect_ok(api.write(buffer, 0, contents.data(), kRefusedSize, &error), error,
                         "buffer.write"));
    for (const Range &range : kOutside) {
        // Large enough for any size that a careless plugin would really transfer.
        Data data(2 * kRefusedSize, 0x77);
        const Data before = data;
        const auto refused = [&](rz_code code, const char *what) {
            char text[160];
            std::snprintf(text, sizeof text, "%s of %llu bytes at %llu in a buffer of %llu", what,
                          static_cast<unsigned long long>(range.size),
                          static_cast<unsigned long long>(range.offset),
                          static_cast<unsigned long long>(kRefusedSize));
            return expect_refused(code, RZ_INVALID_ARGUMENT, error, text);
        };
        RZ_TRY(refused(api.write(a.get(), range.offset, data.data(), range.size, &error),
                       "buffer.write"));
        RZ_TRY(refused(api.read(a.get(), range.offset, data.data(), range.size, &error),
                       "buffer.read"));
        CTK_CHECK(data == before, "a refused buffer.read changed the caller's memory");
        RZ_TRY(refused(api.copy(a.get(), range.offset, b.get(), 0, range.size, &error),
                       "buffer.copy to"));
        RZ_TRY(refused(api.copy(a.get(), 0, b.get(), range.offset, range.size, &error),
                       "buffer.copy from"));
        Data found(kRefusedSize);
        RZ_TRY(read_all(*session, a.get(), found));
        CTK_CHECK(found == contents, "a refused range changed the buffer");
    }
    CTK_CHECK(api.write(a.get(), kRefusedSize, contents.data(), 1, nullptr) == RZ_INVALID_ARGUMENT,
              "buffer.write outside with NULL err: expected RZ_INVALID_ARGUMENT");
    return {};
}

Status copy_between(Context &context) {
    RZ_ASSIGN(Session * session, context.session());
    const rz_buffer_api &api = *session->api().buffer;
    Random random(context.seed);
    constexpr size_t kFrom = 777, kTo = 1025;
    RZ_ASSIGN(const auto from, session->buffer(kFrom));
    RZ_ASSIGN(const auto to, session->buffer(kTo));
    Data source = random_data(random, kFrom), mirror(kTo, 0);
    AbiError error;
    RZ_TRY(
        expect_ok(api.write(from.get(), 0, source.data(), kFrom, &error), error, "buffer.write"));
    for (int i = 0; i < 50; ++i) {
        const auto size = static_cast<size_t>(random.integer(0, 300));
        const auto at = static_cast<size_t>(random.integer(0, kFrom - size));
        const auto into = static_cast<size_t>(random.integer(0, kTo - size));
        RZ_TRY(expect_ok(api.copy(to.get(), into, from.get(), at, size, &error), error,
                         "buffer.copy"));
        std::copy_n(source.begin() + static_cast<int64_t>(at), size,
                    mirror.begin() + static_cast<int64_t>(into));
    }
    // Within one buffer, without overlap.
    RZ_TRY(
        expect_ok(api.copy(to.get(), 0, to.get(), 512, 500, &error), error, "buffer.copy within"));
    std::copy_n(mirror.begin() + 512, 500, mirror.begin());
    Data found(kTo);
    RZ_TRY(read_all(*session, to.get(), found));
    CTK_CHECK(found == mirror, "after copies the buffer differs from what was copied");
    return {};
}

// More than any machine has, and a size that wraps when rounded up.
Status refuse_impossible_sizes(Context &context) {
    RZ_ASSIGN(Session * session, context.session());
    for (const uint64_t size : {uint64_t{1} << 60, UINT64_MAX, UINT64_MAX - 63}) {
        rz_buffer *buffer = nullptr;
        AbiError error;
        const rz_code code =
            session->api().buffer->create(session->device(), size, &buffer, &error);
        const Owned<rz_buffer> owner(buffer, session->api().buffer->destroy);
        RZ_TRY(expect_refused(code, code == RZ_INVALID_ARGUMENT ? code : RZ_OUT_OF_MEMORY, error,
                              "buffer.create of an impossible size"));
    }
    return {};
}

} // namespace

void add_buffer_cases(CaseList &cases) {
    const auto add = [&](const char *name, Status (*test)(Context &)) {
        cases.push_back({1, "buffer", "", name, test});
    };
    add("zeroed", are_zeroed);
    add("write-read", keep_what_is_written);
    add("out-of-range", refuse_ranges_outside);
    add("copy", copy_between);
    add("impossible-size", refuse_impossible_sizes);
}

} // namespace realizar::ctk
