#pragma once
#include <string>
#include <string_view>

namespace rvsweep::h5 {

/// Text as an HDF5 string can hold it and every reader decodes it: U+0000, where an HDF5 string
/// would end, becomes U+2400 (symbol for null), and every byte outside a well-formed UTF-8
/// character becomes U+FFFD. All other text is returned unchanged.
std::string storable_text(std::string_view text);

}  // namespace rvsweep::h5
