// Sessions on disk: the tokens of a conversation and the memory that the model has of them.
#pragma once

#include "core/engine/session.h"

#include <filesystem>

namespace realizar {

// Writes the session to a file that appears whole or not at all. It can be restored on any device and
// context size that it fits. Tags: write_failed, those of the device.
Status save_session(const Session &session, const std::filesystem::path &path);

// Makes the session what it was when the file was written. The file is checked first, with its
// checksum; a session is changed only after that. Tags: those of FileMapping::open(), bad_session (not
// a session file, cut short or damaged), unsupported_version, session_mismatch (of another model or
// with other cache types), context_full.
Status restore_session(Session &session, const std::filesystem::path &path);

} // namespace realizar
