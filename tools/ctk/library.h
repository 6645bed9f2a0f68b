// The plugin as a file and as an entry point, with no judgement: the tests of level 0 judge.
#pragma once

#include "core/common/result.h"
#include "realizar/backend.h"

#include <memory>
#include <string>
#include <vector>

namespace realizar::ctk {

inline constexpr const char *kBuiltinReference = "builtin:reference";

// What the file says without running any of its code. Reads bounded, untrusted bytes.
struct FileFacts {
    rz_plugin_note note{};
    bool has_note = false;
    std::vector<std::string> exports; // defined dynamic symbols of global or weak binding
};
Result<FileFacts> read_file_facts(const std::string &path);

// A loaded plugin. Stays mapped until the process ends.
class Library {
  public:
    // Loads the file and finds the entry; does not call it.
    static Result<std::unique_ptr<Library>> open(const std::string &plugin);

    bool builtin() const { return entry_ == nullptr; }
    rz_plugin_entry_fn entry() const { return entry_; } // NULL for the built-in backend
    // The table, by a well-formed hello.
    Result<const rz_plugin *> table() const;

  private:
    Library() = default;
    rz_plugin_entry_fn entry_ = nullptr;
};

// The hello of this kit.
rz_hello make_hello();

} // namespace realizar::ctk
