// Results as text: for a terminal, a spreadsheet or a page of Markdown.
#pragma once

#include "bench/environment.h"

#include <string>

namespace realizar::bench {

// Of a document (record.h). Skipped entries come with their reason.
std::string table_text(const Json &document);
std::string csv_text(const Json &document);
std::string markdown_text(const Json &document);

} // namespace realizar::bench
