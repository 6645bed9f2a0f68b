// Files from before experts were stacked: one tensor per expert gives the same model.
#include "core/engine/session.h"
#include "tests/format/scratch.h"
#include "tests/support/engines.h"
#include "tests/support/shared.h"

#include <algorithm>
#include <functional>

namespace realizar {
namespace {

class ExpertsApart : public testing::TestWithParam<std::string> {
  protected:
    struct Tensor {
        std::string name;
        DType dtype;
        std::vector<int64_t> dims;
        std::span<const std::byte> data;
    };

    // The file with its stacks taken apart, and changed.
    void write(const GgufFile &in, const std::function<void(std::vector<Tensor> &)> &change = {}) {
        std::vector<Tensor> tensors;
        for (const GgufTensor &tensor : in.tensors()) {
            const size_t end = tensor.name.find("_exps.weight");
            if (end == std::string_view::npos) {
                tensors.push_back(
                    {std::string(tensor.name), tensor.dtype, tensor.dims, tensor.data});
                continue;
            }
            const auto count = static_cast<size_t>(tensor.dims[0]);
            const size_t size = tensor.data.size() / count;
            for (size_t i = 0; i < count; ++i)
                tensors.push_back(
                    {std::string(tensor.name.substr(0, end)) + "." + std::to_string(i) + ".weight",
                     tensor.dtype,
                     {tensor.dims[1], tensor.dims[2]},
                     tensor.data.subspan(i * size, size)});
        }
        // As old files had them: the matrices of one expert after those of another.
        std::ranges::sort(tensors, {}, [](const Tensor &t) {
            return std::pair(std::string(t.name.rbegin(), t.name.rend()), t.name);
        });
        if (change) change(tensors);
        GgufWriter writer;
        for (const GgufEntry &entry : in.entries())
            writer.copy(entry);
        for (const Tensor &tensor : tensors)
            writer.add_tensor(tensor.name, tensor.dtype, tensor.dims);
        ASSERT_TRUE(writer.begin(folder_ / "apart").ok());
        for (const Tensor &tensor : tensors)
            ASSERT_TRUE(writer.write_tensor(tensor.data).ok());
        ASSERT_TRUE(writer.finish().ok());
    }

    static std::vector<float> logits(const std::filesystem::path &path,
                                     const std::string &backend) {
        auto engine = test::load_engine(path, backend);
        EXPECT_TRUE(engine.ok()) << test::message_of(engine.error());
        if (!engine.ok()) return {};
        const auto session = std::move(Session::create(*engine)).value();
        EXPECT_TRUE(session->append(std::vector<Token>{5, 17, 9, 200, 33}).ok());
        return {session->logits().begin(), session->logits().end()};
    }

    test::ScratchFolder folder_;
};

TEST_P(ExpertsApart, AreTheSameModel) {
    RZ_REQUIRE_BACKEND(GetParam());
    for (const char *name : {"mixtral", "qwen3moe"}) {
        RZ_REQUIRE_SHARED(model, std::string("fixtures/arch/") + name + ".gguf");
        RZ_ASSERT_OK(const auto in, GgufFile::open(model));
        ASSERT_NO_FATAL_FAILURE(write(*in));
        const auto stacked = logits(model, GetParam());
        EXPECT_EQ(logits(folder_ / "apart", GetParam()), stacked);
        // Experts in another order are another model.
        ASSERT_NO_FATAL_FAILURE(write(*in, [](std::vector<Tensor> &tensors) {
            const auto find = [&](const char *which) {
                return std::ranges::find(tensors, which, &Tensor::name);
            };
            std::swap(find("blk.0.ffn_up.0.weight")->data, find("blk.0.ffn_up.1.weight")->data);
        }));
        EXPECT_NE(logits(folder_ / "apart", GetParam()), stacked);
    }
}

INSTANTIATE_TEST_SUITE_P(Backends, ExpertsApart, testing::Values("reference", "cpu"));

using ExpertsApartErrors = ExpertsApart;
TEST_P(ExpertsApartErrors, MissingAndUnlikeOnesAreNamed) {
    RZ_REQUIRE_SHARED(model, "fixtures/arch/mixtral.gguf");
    RZ_ASSERT_OK(const auto in, GgufFile::open(model));
    const auto error = [&](const std::function<void(std::vector<Tensor> &)> &change) {
        write(*in, change);
        const auto opened = ModelFile::open(*GgufFile::open(folder_ / "apart"));
        return opened.ok() ? Error{} : opened.error();
    };
    const std::string name = "blk.1.ffn_down.2.weight";
    const auto find = [&](std::vector<Tensor> &tensors) {
        return std::ranges::find(tensors, name, &Tensor::name);
    };
    const Error missing = error([&](auto &tensors) { tensors.erase(find(tensors)); });
    EXPECT_EQ(missing.tag, "missing_tensor");
    EXPECT_NE(missing.message.find(name), std::string::npos) << missing.message;
    const Error shape =
        error([&](auto &tensors) { std::swap(find(tensors)->dims[0], find(tensors)->dims[1]); });
    EXPECT_EQ(shape.tag, "shape_mismatch");
    const Error type = error([&](auto &tensors) {
        find(tensors)->dtype = DType::BF16;
        find(tensors)->data = find(tensors)->data.first(find(tensors)->data.size() / 2);
    });
    EXPECT_EQ(type.tag, in->find_tensor("blk.1.ffn_down_exps.weight")->dtype == DType::F32
                            ? "bad_tensor_type"
                            : type.tag);
}
INSTANTIATE_TEST_SUITE_P(Files, ExpertsApartErrors, testing::Values(""));

} // namespace
} // namespace realizar
