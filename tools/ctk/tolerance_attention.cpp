#include "core/reference/ref_cache.h"
#include "tools/ctk/tolerance.h"

#include <algorithm>
#include <cmath>

namespace realizar::ctk {

namespace {

constexpr double kF32 = 0x1p-24, kF16 = 0x1p-11;
constexpr double kSqrt3 = 1.7320508075688772;
constexpr int kRuns = 4;
// A rotation of 2^6 elements in F32: six roundings, each of at most half a unit of the largest.
constexpr double kRotation = 6 * kF32;

// A tensor's numbers, contiguous, that can stand for it in a call; those of rotated rows are rotated
// back.
class Substitute {
  public:
    explicit Substitute(const RefTensor &tensor) : width_(static_cast<size_t>(tensor.inner())) {
        facts_.struct_size = sizeof facts_;
        facts_.dtype = RZ_DTYPE_F32;
        facts_.role = RZ_ROLE_TEMP;
        facts_.rank = tensor.rank();
        for (uint32_t d = 0; d < tensor.rank(); ++d)
            facts_.dims[d] = tensor.dim(d);
        set_contiguous_strides(facts_);
        std::vector<double> scratch;
        for (int64_t r = 0; r < tensor.rows(); ++r) {
            const auto row = tensor.row(r, scratch);
            numbers_.insert(numbers_.end(), row.begin(), row.end());
            if (tensor.dtype() == RZ_DTYPE_Q4_0) ref_rotate(std::span(numbers_).last(width_));
        }
        original_ = numbers_;
    }

    // numbers = original + normal * (relative |original| + absolute max|row|); the maximum is also over
    // the rotated row where `rotation` is set.
    void disturb(double relative, double absolute, bool rotation, Random &random) {
        std::vector<double> rotated(width_);
        for (size_t begin = 0; begin < numbers_.size(); begin += width_) {
            double most = 0;
            for (size_t i = 0; i < width_; ++i) {
                rotated[i] = original_[begin + i];
                most = std::max(most, std::fabs(rotated[i]));
            }
            if (rotation) ref_rotate(rotated);
            for (size_t i = 0; rotation && i < width_; ++i)
                most = std::max(most, std::fabs(rotated[i]));
            for (size_t i = begin; i < begin + width_; ++i)
                numbers_[i] = original_[i] + random.normal() * (relative * std::fabs(original_[i]) +
                                                                absolute * most);
        }
    }
    RefTensor tensor() { return RefTensor(facts_, {}, {numbers_.data(), nullptr}); }
    std::span<const double> numbers() const { return numbers_; }
    double largest_row_norm() const {
        double most = 0;
        for (size_t begin = 0; begin < original_.size(); begin += width_) {
            double square = 0;
            for (size_t i = begin; i < begin + width_; ++i)
                if (std::isfinite(original_[i])) square += original_[i] * original_[i];
            most = std::max(most, square);
        }
        return std::sqrt(most);
    }

  private:
    rz_tensor facts_{};
    size_t width_;
    std::vector<double> numbers_, original_;
};

// What q may lose before the dot products, by the type of the keys: {relative, of the row's max}.
struct Rounding {
    double relative, absolute;
};
Rounding rounding_for(rz_dtype cache) {
    if (cache == RZ_DTYPE_Q8_0 || cache == RZ_DTYPE_Q4_0) return {kF32, 1 / 254.0 / kSqrt3};
    return {cache == RZ_DTYPE_F16 ? kF16 / kSqrt3 : kF32, 0};
}

} // namespace

std::vector<double> attention_noise(NoiseCall &node, Random &random) {
    RefCall &call = node.call;
    const auto attr = call.attributes<rz_attr_attention>();
    Substitute q(call.in(0)), k(call.in(1)), v(call.in(2)), out(call.out());
    const std::vector<double> exact(out.numbers().begin(), out.numbers().end());
    const std::vector<int64_t> lengths = ref_integers(call.in(6));
    const auto longest = static_cast<double>(
        std::max<int64_t>(1, *std::max_element(lengths.begin(), lengths.end())));
    double score = std::fabs(attr.scale) * q.largest_row_norm() * k.largest_row_norm();
    if (attr.softcap > 0) score = std::min(score, double{attr.softcap});
    if (attr.alibi_max_bias > 0) score += longest;
    const Rounding query = rounding_for(node.types[1]);
    const bool narrow_values = node.types[2] != RZ_DTYPE_F32;
    const double key = kF32 * std::sqrt(static_cast<double>(call.in(1).inner()));
    const double value =
        kF32 * (8 + std::sqrt(longest) + score) + (narrow_values ? kF16 / kSqrt3 : 0);

    const bool rotated_keys = node.types[1] == RZ_DTYPE_Q4_0;
    const bool rotated_values = node.types[2] == RZ_DTYPE_Q4_0;

    RefCall disturbed{call.node, call.inputs, {out.tensor()}};
    disturbed.inputs[0] = q.tensor();
    disturbed.inputs[1] = k.tensor();
    disturbed.inputs[2] = v.tensor();
    const auto width = static_cast<size_t>(call.out().inner());
    std::vector<double> square(exact.size() / width, 0.0); // per query and head
    for (int run = 0; run < kRuns; ++run) {
        q.disturb(query.relative, query.absolute, rotated_keys, random);
        k.disturb(key, rotated_keys ? kRotation : 0, rotated_keys, random);
        v.disturb(value, rotated_values ? kRotation : 0, rotated_values, random);
        ref_attention(disturbed);
        for (size_t i = 0; i < exact.size(); ++i)
            square[i / width] += (out.numbers()[i] - exact[i]) * (out.numbers()[i] - exact[i]);
    }
    std::vector<double> sigma(exact.size());
    for (size_t i = 0; i < sigma.size(); ++i)
        sigma[i] = std::sqrt(square[i / width] / static_cast<double>(kRuns * width)) +
                   kF32 * std::fabs(exact[i]);
    return sigma;
}

} // namespace realizar::ctk
