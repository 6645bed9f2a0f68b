// How help texts look.
#pragma once

#include <CLI/CLI.hpp>

#include <string>

namespace realizar::cli {

// CLI11's format without what it derives from checks: "{a,b}" for choices, the type or its name
// otherwise, and the default.
class HelpFormatter : public CLI::Formatter {
  public:
    HelpFormatter() { column_width(34); }

    std::string make_option_opts(const CLI::Option *option) const override {
        if (option->get_type_size() == 0) return ""; // a flag
        std::string type = option->get_type_name();
        if (const size_t check = type.find(':'); check != std::string::npos)
            type = type[check + 1] == '{' ? type.substr(check + 1) : type.substr(0, check);
        std::string text = " " + type;
        if (!option->get_default_str().empty()) text += " [" + option->get_default_str() + "]";
        return text;
    }
};

} // namespace realizar::cli
