// docs/coverage.md says what each backend claims. With REALIZAR_UPDATE_DOCS=1 it is written anew; a backend
// that is not ready here keeps its column.
#include "core/graph/infer.h"
#include "tests/support/engines.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>

namespace realizar {
namespace {

const std::string kBackends[] = {"reference", "cpu", "vulkan", "opencl"};
using Row = std::vector<std::string>;        // cells
using Claims = std::map<uint32_t, uint64_t>; // types by operator

bool takes_weights(uint32_t op) {
    return op == RZ_OP_GET_ROWS || op == RZ_OP_MATMUL || op == RZ_OP_EXPERT_MATMUL;
}

std::string trimmed(const std::string &text) {
    const size_t first = text.find_first_not_of(' ');
    if (first == std::string::npos) return "";
    return text.substr(first, text.find_last_not_of(' ') - first + 1);
}

std::string types_text(uint64_t types) {
    std::string text;
    for (const DTypeInfo &info : dtype_table())
        if (types & RZ_DTYPE_BIT(static_cast<uint32_t>(info.dtype)))
            text += (text.empty() ? "" : " ") + std::string(info.name);
    return text.empty() ? "–" : text;
}

std::string operator_cell(uint32_t op, uint64_t types) {
    return takes_weights(op) && types ? "✓" : types_text(types);
}
std::string type_cell(const Claims &claims, DType type) {
    const uint64_t bit = RZ_DTYPE_BIT(static_cast<uint32_t>(type));
    bool all = true;
    for (const auto &[op, types] : claims)
        all = all && (!takes_weights(op) || (types & bit));
    return all ? "✓" : "–";
}

// The cells of a backend's column, by the first cell of the row.
std::map<std::string, std::string> column_of(const Claims &claims) {
    std::map<std::string, std::string> cells;
    for (uint32_t op = 1; op < RZ_OP_COUNT; ++op) {
        const auto found = claims.find(op);
        cells[op_name(op)] = operator_cell(op, found == claims.end() ? 0 : found->second);
    }
    for (const DTypeInfo &info : dtype_table())
        cells[std::string(info.name)] = type_cell(claims, info.dtype);
    return cells;
}

Result<Claims> claims_of(const std::string &backend) {
    RZ_ASSIGN(const DeviceChoice choice, test::backends().choose({backend, "", true}));
    RZ_ASSIGN(const auto rows, choice.devices.front()->capabilities());
    Claims claims;
    for (const rz_capability &row : rows)
        claims[row.op] |= row.dtypes;
    return claims;
}

bool is_ready(const std::string &backend) {
    if (backend == "reference") return true;
    const auto *record = test::backends().registry().find(backend);
    return record && record->state == PluginState::ready;
}

// The text with the columns of `backends` put right, the rows of the tables being those of operators
// and of types.
std::string corrected(const std::string &text,
                      const std::map<std::string, std::map<std::string, std::string>> &columns) {
    std::istringstream in(text);
    std::string out, line;
    while (std::getline(in, line)) {
        Row cells;
        std::istringstream parts(line);
        for (std::string cell; std::getline(parts, cell, '|');)
            cells.push_back(trimmed(cell));
        if (cells.size() == 2 + std::size(kBackends))
            for (size_t i = 0; i < std::size(kBackends); ++i) {
                const auto column = columns.find(kBackends[i]);
                if (column == columns.end()) continue;
                const auto cell = column->second.find(cells[1]);
                if (cell != column->second.end()) cells[2 + i] = cell->second;
            }
        if (cells.size() == 2 + std::size(kBackends)) {
            line = "|";
            for (size_t i = 1; i < cells.size(); ++i)
                line += " " + cells[i] + " |";
        }
        out += line + "\n";
    }
    return out;
}

class Coverage : public testing::Test {
  protected:
    void SetUp() override {
        std::ifstream file(path_);
        std::stringstream content;
        content << file.rdbuf();
        text_ = content.str();
        for (const std::string &backend : kBackends) {
            if (!is_ready(backend)) continue;
            const auto claims = claims_of(backend);
            if (claims.ok()) columns_[backend] = column_of(*claims); // else no device
        }
    }

    const std::filesystem::path path_ =
        std::filesystem::path(REALIZAR_SOURCE_DIR) / "docs" / "coverage.md";
    std::string text_;
    std::map<std::string, std::map<std::string, std::string>> columns_;
};

TEST_F(Coverage, TheTableSaysWhatTheBackendsClaim) {
    ASSERT_FALSE(text_.empty());
    const std::string right = corrected(text_, columns_);
    if (std::getenv("REALIZAR_UPDATE_DOCS")) {
        std::ofstream(path_) << right;
        return;
    }
    EXPECT_EQ(text_, right) << "REALIZAR_UPDATE_DOCS=1 writes the table anew";
}

TEST_F(Coverage, EveryOperatorAndTypeHasARow) {
    for (const auto &[name, cell] : columns_.at("reference"))
        EXPECT_NE(text_.find("\n| " + name + " |"), std::string::npos) << name;
}

TEST_F(Coverage, TheComparisonSeesAnotherClaim) {
    auto other = columns_;
    other["reference"]["MATMUL"] = "F64";
    EXPECT_NE(corrected(text_, columns_), corrected(text_, other));
}

} // namespace
} // namespace realizar
