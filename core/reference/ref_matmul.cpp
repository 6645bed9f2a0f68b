#include "core/reference/ref_ops.h"

#include <numeric>

namespace realizar {

void ref_get_rows(RefCall &call) {
    const RefTensor &table = call.in(0);
    const std::vector<int64_t> ids = ref_integers(call.in(1));
    const std::vector<double> zeros(static_cast<size_t>(table.inner()));
    std::vector<double> scratch;
    for (size_t t = 0; t < ids.size(); ++t) {
        const bool inside = ids[t] >= 0 && ids[t] < table.dim(0);
        call.out().set_row(static_cast<int64_t>(t), inside ? table.row(ids[t], scratch) : zeros);
    }
}

// Weight rows outside, so that each is decoded once; the result is gathered as columns.
void ref_matmul(RefCall &call) {
    const RefTensor &weight = call.in(0);
    RefRows x(call.in(1));
    const int64_t rows = call.in(1).rows(), width = weight.dim(0);
    std::vector<double> result(static_cast<size_t>(rows * width)), scratch;
    for (int64_t n = 0; n < width && rows > 0; ++n) {
        const std::span<const double> w = weight.row(n, scratch);
        for (int64_t t = 0; t < rows; ++t)
            result[static_cast<size_t>(t * width + n)] =
                std::inner_product(w.begin(), w.end(), x[t].begin(), 0.0);
    }
    for (int64_t t = 0; t < rows; ++t)
        call.out().set_row(t, std::span(result).subspan(static_cast<size_t>(t * width),
                                                        static_cast<size_t>(width)));
}

} // namespace realizar
