// Models of the packed context, made from those of the plain one.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace mmt {

/// The packed context's `.mnn` image (see mmt/manifest.h), made from the plain context's: a stub stands behind the
/// conversion of each input of rank 4. The converter makes the same operators of the operator's graph behind stubs;
/// only the numbers of tensors differ.
///
/// nullopt where the plain model does not show how the packed one looks, so that the converter must be asked: an input
/// of rank 4 has another reader than one conversion to the packed layout (such readers run packed behind a stub), is no
/// float32 or not named `input_<i>`; the model holds subgraphs, notes on tensors, or fields that are not known here; or
/// there is no stub to insert.
///
/// `plain`: the file's bytes, at an address that is a multiple of 8. Throws Error(kCorrupt) where it is no `.mnn`
/// model.
std::optional<std::string> packed_model(std::string_view plain);

}  // namespace mmt
