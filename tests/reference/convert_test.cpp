// Numbers to and from canonical bytes, and what ref_run refuses.
#include "ref_case.h"

#include <cstring>

namespace realizar {
namespace {

std::vector<std::byte> bytes_of(std::initializer_list<int> list) {
    std::vector<std::byte> out;
    for (const int value : list)
        out.push_back(static_cast<std::byte>(value));
    return out;
}

TEST(RefConvert, RoundTripsIntegersAndHalves) {
    const std::vector<int64_t> dims{2};
    const auto ints = bytes_of({0xff, 0xff, 0xff, 0x7f, 0xfe, 0xff, 0xff, 0xff});
    const auto value = ref_from_bytes(RZ_DTYPE_I32, dims, ints);
    ASSERT_TRUE(value.ok()) << value.error().message;
    EXPECT_EQ(value->data, (test::Numbers{2147483647, -2}));
    std::vector<std::byte> back(8);
    ASSERT_TRUE(ref_to_bytes(*value, RZ_DTYPE_I32, back).ok());
    EXPECT_EQ(back, ints);
    const auto half = ref_from_bytes(RZ_DTYPE_F16, dims, bytes_of({0x00, 0x3c, 0x00, 0xc1}));
    ASSERT_TRUE(half.ok());
    EXPECT_EQ(half->data, (test::Numbers{1, -2.5}));
}

TEST(RefConvert, ChecksSizesAndTypes) {
    const std::vector<int64_t> dims{2, 3};
    EXPECT_FALSE(ref_from_bytes(RZ_DTYPE_F32, dims, std::vector<std::byte>(23)).ok());
    const auto block = ref_from_bytes(RZ_DTYPE_Q8_0, dims, std::vector<std::byte>(34));
    ASSERT_FALSE(block.ok());
    EXPECT_NE(block.error().message.find("whole blocks of 32"), std::string::npos);
    const auto unknown = ref_from_bytes(63, dims, {});
    ASSERT_FALSE(unknown.ok());
    EXPECT_EQ(unknown.error().code, Code::unsupported);
    const std::vector<int64_t> huge{int64_t{1} << 40, int64_t{1} << 40};
    EXPECT_FALSE(ref_from_bytes(RZ_DTYPE_F32, huge, {}).ok());
    std::vector<std::byte> room(24);
    EXPECT_FALSE(ref_to_bytes({{2, 3}, {1, 2, 3}}, RZ_DTYPE_F32, room).ok());
}

TEST(RefRun, ChecksSymbolsAndSizes) {
    GraphBuilder b;
    const TensorId x = b.input("x", DType::F32, {b.symbol(1, 4, 1), 3});
    b.output(b.scale(x, 2), "y");
    const auto graph = std::move(b).build();
    ASSERT_TRUE(graph.ok());
    const auto message = [&](std::vector<int64_t> symbols, size_t elements) {
        std::vector<RefValue> values(graph->tensors().size());
        values[x].data.resize(elements);
        const Status status = ref_run(graph->view(), symbols, values);
        return status ? std::string() : status.error().message;
    };
    EXPECT_EQ(message({2}, 6), "");
    EXPECT_EQ(message({2}, 5), "x: expected 6 elements, found 5");
    EXPECT_EQ(message({5}, 15), "symbol 0: expected 1 to 4, found 5");
    EXPECT_EQ(message({}, 6), "expected 1 symbol values, found 0");
    std::vector<RefValue> none;
    EXPECT_FALSE(ref_run(graph->view(), std::vector<int64_t>{2}, none).ok());
}

} // namespace
} // namespace realizar
