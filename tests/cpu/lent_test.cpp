// Types without kernels: computed where the host lends its decoders, refused where it does not.
#include "backend.h"

#include "core/quant/lend.h"
#include "plugins/cpu/ops/op.h"

namespace realizar::cpu {
namespace {

TEST(LentDecoders, WidenWhatIsClaimed) {
    const plugin::Contract &matmul = *plugin::find_contract(RZ_OP_MATMUL);
    const uint64_t own = coverage(nullptr).types(matmul);
    const uint64_t all = coverage(lent_decoders()).types(matmul);
    EXPECT_EQ(all, plugin::kEveryType);
    for (const realizar::DTypeInfo &info : dtype_table()) {
        const auto dtype = static_cast<rz_dtype>(info.dtype);
        EXPECT_EQ(plugin::has_type(own, dtype), weight_type(dtype) != kWeightTypes) << info.name;
    }
    EXPECT_TRUE(plugin::has_type(own, RZ_DTYPE_Q4_K));
    EXPECT_FALSE(plugin::has_type(own, RZ_DTYPE_IQ2_XS));
    // Operators without weights do not depend on the host.
    const plugin::Contract &attention = *plugin::find_contract(RZ_OP_ATTENTION);
    EXPECT_EQ(coverage(nullptr).types(attention), coverage(lent_decoders()).types(attention));
}

TEST(LentDecoders, RefuseWhatTheyCannotRead) {
    const rz_ext_decode &table = *lent_decoders();
    uint8_t block[66] = {};
    float out[256];
    EXPECT_EQ(table.decode(RZ_DTYPE_IQ2_XXS, block, out, 256), RZ_OK);
    EXPECT_EQ(table.decode(RZ_DTYPE_IQ2_XXS, block, out, 32), RZ_INVALID_ARGUMENT);
    EXPECT_EQ(table.decode(RZ_DTYPE_IQ2_XXS, nullptr, out, 256), RZ_INVALID_ARGUMENT);
    EXPECT_EQ(table.decode(4, block, out, 32), RZ_UNSUPPORTED); // a retired id
}

// A host without extensions: the backend opens and computes with its own kernels only.
TEST(LentDecoders, AreNotNeeded) {
    test::Backend backend(1);
    uint32_t count = 64;
    rz_capability rows[64] = {};
    for (rz_capability &row : rows)
        row.struct_size = sizeof row;
    EXPECT_CODE(RZ_OK, backend.err,
                backend.api.device->capabilities(backend.device, rows, sizeof rows[0], &count,
                                                 &backend.err));
    for (uint32_t i = 0; i < count; ++i)
        EXPECT_FALSE(rows[i].op == RZ_OP_GET_ROWS &&
                     plugin::has_type(rows[i].dtypes, RZ_DTYPE_TQ1_0));
}

} // namespace
} // namespace realizar::cpu
