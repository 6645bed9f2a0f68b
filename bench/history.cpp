#include "bench/record.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace realizar::bench {
namespace {

constexpr uint64_t kMaxDocumentBytes = uint64_t{64} << 20;

bool is_document(const Json &json) {
    return json.is_object() && json.contains("results") && json["results"].is_array();
}

Result<std::string> read_file(const std::string &path) {
    std::ifstream file(path, std::ios::binary);
    if (!file)
        return make_error(Code::io, "open_failed", "%s: cannot be opened: %s",
                          printable(path, 200).c_str(), std::strerror(errno));
    std::string text(kMaxDocumentBytes + 1, '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<size_t>(file.gcount()));
    if (text.size() > kMaxDocumentBytes)
        return make_error(Code::malformed, "not_a_benchmark",
                          "%s: expected at most 64 MiB of results", printable(path, 200).c_str());
    return text;
}

} // namespace

Result<Json> read_document(const std::string &path) {
    RZ_ASSIGN(const std::string text, read_file(path));
    Json json = Json::parse(text, nullptr, false);
    if (json.is_discarded())
        return make_error(Code::malformed, "bad_json",
                          "%s: expected the JSON of 'realizar bench -o json'",
                          printable(path, 200).c_str());
    if (!is_document(json))
        return make_error(Code::malformed, "not_a_benchmark",
                          "%s: expected an object with a list \"results\"",
                          printable(path, 200).c_str());
    return json;
}

Result<History> read_history(const std::string &path) {
    RZ_ASSIGN(const std::string text, read_file(path));
    History history;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        if (line.empty()) continue;
        Json json = Json::parse(line, nullptr, false);
        if (json.is_discarded() || !is_document(json))
            ++history.damaged;
        else
            history.documents.push_back(std::move(json));
    }
    return history;
}

Status append_history(const std::string &path, const Json &document) {
    std::error_code error;
    const auto folder = std::filesystem::path(path).parent_path();
    if (!folder.empty()) std::filesystem::create_directories(folder, error);
    std::ofstream file(path, std::ios::binary | std::ios::app);
    // One write of one line, so that two runs at the same time do not mix theirs.
    const std::string line = document.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
    file.write(line.data(), static_cast<std::streamsize>(line.size()));
    file.flush();
    if (!file)
        return make_error(Code::io, "write_failed", "%s: cannot be written: %s",
                          printable(path, 200).c_str(), std::strerror(errno));
    return {};
}

} // namespace realizar::bench
