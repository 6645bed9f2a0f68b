// Language models in APR files: what stands where GGUF has its metadata and names. Internal to
// core/format, but for write_apr().
//
// A file that write_apr() made has the GGUF metadata word for word, in the object "gguf" of its own,
// and so turns back into the same GGUF file. Files of other writers have sizes, tokens and names in
// the ways of Hugging Face; these are translated.
#pragma once

#include "core/format/apr.h"
#include "core/format/apr_v1.h"
#include "core/format/gguf_parse.h"
#include "core/format/rewrite.h"

namespace realizar {

// Tensors in the order of their data. Those that have no element type of ours are decoded to F32,
// in memory of their own. Tags: bad_metadata, bad_key, duplicate_key, duplicate_tensor,
// elements_overflow.
Result<GgufContents> contents_from_apr(AprContents apr);
// The weights of a regression, or no tensors for other models.
Result<GgufContents> contents_from_apr_v1(const AprV1 &model);

// Every bit of the weights, uncompressed. Tags: not_utf8 (a text that JSON cannot hold),
// metadata_too_large, those of AprWriter.
Status write_apr(const GgufFile &file, const std::filesystem::path &out,
                 const RewriteOptions &options = {});

} // namespace realizar
