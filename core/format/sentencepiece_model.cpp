#include "core/format/sentencepiece_model.h"

#include "core/format/protobuf_reader.h"

#include <cmath>

namespace realizar {
namespace {

using Wire = ProtobufField::Wire;
using Piece = SentencePieceModel::Piece;

constexpr size_t kMaxPieces = size_t(1) << 19;
constexpr size_t kMaxPieceBytes = 4096;

Error bad_protobuf(const char *message, size_t offset) {
    return make_error(Code::malformed, "bad_protobuf",
                      "byte %zu of %s: expected a protobuf field, found something else", offset,
                      message);
}

Error bad_vocab(size_t index, const char *expected) {
    return make_error(Code::malformed, "bad_vocab", "piece %zu: expected %s", index, expected);
}

Result<Piece> parse_piece(std::span<const std::byte> bytes, size_t index) {
    Piece piece;
    ProtobufReader reader(bytes);
    for (ProtobufField field; reader.next(field);) {
        if (field.is(1, Wire::bytes)) piece.text = field.text();
        if (field.is(2, Wire::fixed32)) piece.score = field.as_float();
        if (field.is(3, Wire::varint)) {
            if (field.bits < 1 || field.bits > 6) return bad_vocab(index, "a type of 1 to 6");
            piece.type = static_cast<int32_t>(field.bits);
        }
    }
    if (reader.bad()) return bad_protobuf("SentencePiece", reader.offset());
    if (piece.text.size() > kMaxPieceBytes) return bad_vocab(index, "at most 4096 bytes of text");
    if (!std::isfinite(piece.score)) return bad_vocab(index, "a finite score");
    return piece;
}

Status parse_trainer(std::span<const std::byte> bytes, SentencePieceModel &model) {
    ProtobufReader reader(bytes);
    for (ProtobufField field; reader.next(field);) {
        if (field.wire != Wire::varint) continue;
        const auto value = static_cast<int32_t>(field.bits); // negative ids are sign-extended
        switch (field.number) {
        case 3: model.kind = static_cast<SentencePieceModel::Kind>(value); break;
        case 40: model.unk_id = value; break;
        case 41: model.bos_id = value; break;
        case 42: model.eos_id = value; break;
        case 43: model.pad_id = value; break;
        default: break;
        }
    }
    if (reader.bad()) return bad_protobuf("TrainerSpec", reader.offset());
    return {};
}

Status parse_normalizer(std::span<const std::byte> bytes, SentencePieceModel &model) {
    ProtobufReader reader(bytes);
    for (ProtobufField field; reader.next(field);) {
        if (field.is(3, Wire::varint)) model.add_dummy_prefix = field.bits != 0;
        if (field.is(4, Wire::varint)) model.remove_extra_whitespaces = field.bits != 0;
    }
    if (reader.bad()) return bad_protobuf("NormalizerSpec", reader.offset());
    return {};
}

Status check(const SentencePieceModel &model) {
    if (model.pieces.empty())
        return make_error(Code::malformed, "bad_vocab", "expected at least one piece, found none");
    const int kind = static_cast<int>(model.kind);
    if (kind < 1 || kind > 4)
        return make_error(Code::malformed, "bad_vocab", "expected a model type of 1 to 4, found %d",
                          kind);
    for (const int32_t id : {model.unk_id, model.bos_id, model.eos_id, model.pad_id})
        if (id < -1 || (id >= 0 && static_cast<size_t>(id) >= model.pieces.size()))
            return make_error(Code::malformed, "bad_token_id",
                              "expected ids of -1 to %zu, found %d", model.pieces.size() - 1, id);
    return {};
}

} // namespace

Result<SentencePieceModel> parse_sentencepiece_model(std::span<const std::byte> bytes) {
    SentencePieceModel model;
    ProtobufReader reader(bytes);
    for (ProtobufField field; reader.next(field);) {
        if (field.is(1, Wire::bytes)) {
            if (model.pieces.size() == kMaxPieces)
                return make_error(Code::malformed, "bad_vocab",
                                  "expected at most %zu pieces, found more", kMaxPieces);
            RZ_ASSIGN(Piece piece, parse_piece(field.bytes, model.pieces.size()));
            model.pieces.push_back(std::move(piece));
        }
        if (field.is(2, Wire::bytes)) RZ_TRY(parse_trainer(field.bytes, model));
        if (field.is(3, Wire::bytes)) RZ_TRY(parse_normalizer(field.bytes, model));
    }
    if (reader.bad()) return bad_protobuf("ModelProto", reader.offset());
    RZ_TRY(check(model));
    return model;
}

} // namespace realizar
