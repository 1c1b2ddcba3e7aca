#pragma once
// Everything that an HDF5 file holds outside /run, as bytes: read with the HDF5 API alone, so that
// two files can be compared without the code that wrote them.
#include <hdf5.h>

#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace rvsweep::sample {

inline std::string type_of(hid_t type) {
  std::size_t size = 0;
  H5Tencode(type, nullptr, &size);
  std::string bytes(size, '\0');
  H5Tencode(type, bytes.data(), &size);
  return bytes;
}

/// Values of a dataset or attribute; texts and lists written out, each with its length.
template <class Read>
std::string values_in(hid_t type, hid_t space, Read read) {
  const auto count = static_cast<std::size_t>(H5Sget_simple_extent_npoints(space));
  std::string bytes(count * H5Tget_size(type), '\0');
  if (count == 0) return bytes;
  if (read(bytes.data()) < 0) throw std::runtime_error("cannot be read");
  std::string written;
  if (H5Tis_variable_str(type) > 0) {
    const auto* texts = reinterpret_cast<char* const*>(bytes.data());
    for (std::size_t i = 0; i < count; ++i) {
      const std::string text = texts[i] == nullptr ? "" : texts[i];
      written += std::to_string(text.size()) + ":" + text;
    }
  } else if (H5Tget_class(type) == H5T_VLEN) {
    const auto* lists = reinterpret_cast<const hvl_t*>(bytes.data());
    for (std::size_t i = 0; i < count; ++i) {
      written += std::to_string(lists[i].len) + ":";
      written.append(static_cast<const char*>(lists[i].p), lists[i].len * sizeof(int));
    }
  } else {
    return bytes;
  }
  H5Dvlen_reclaim(type, space, H5P_DEFAULT, bytes.data());
  return written;
}

inline std::string shape_of(hid_t space) {
  std::vector<hsize_t> extents(static_cast<std::size_t>(H5Sget_simple_extent_ndims(space)));
  H5Sget_simple_extent_dims(space, extents.data(), nullptr);
  std::string text = "[";
  for (hsize_t extent : extents) text += std::to_string(extent) + ",";
  return text + "]";
}

inline void dump_attributes(hid_t object, const std::string& path,
                            std::map<std::string, std::string>& dump) {
  const int count = H5Aget_num_attrs(object);
  for (int i = 0; i < count; ++i) {
    const hid_t attribute = H5Aopen_by_idx(object, ".", H5_INDEX_NAME, H5_ITER_INC,
                                           static_cast<hsize_t>(i), H5P_DEFAULT, H5P_DEFAULT);
    char name[256];
    H5Aget_name(attribute, sizeof name, name);
    if (std::string(name).ends_with("_LIST")) {  // of dimension scales: addresses in the file
      H5Aclose(attribute);
      continue;
    }
    const hid_t type = H5Aget_type(attribute), space = H5Aget_space(attribute);
    dump[path + "@" + name] =
        type_of(type) + shape_of(space) +
        values_in(type, space, [&](void* into) { return H5Aread(attribute, type, into); });
    H5Sclose(space);
    H5Tclose(type);
    H5Aclose(attribute);
  }
}

/// "rows/text" -> type, shape and values; "rows/text@units" likewise; groups have empty values.
inline std::map<std::string, std::string> dump_of(const std::string& file) {
  std::map<std::string, std::string> dump;
  const hid_t opened = H5Fopen(file.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT);
  if (opened < 0) throw std::runtime_error(file + " cannot be opened");
  std::vector<std::string> paths{"."};
  H5Lvisit(
      opened, H5_INDEX_NAME, H5_ITER_INC,
      [](hid_t, const char* name, const H5L_info_t*, void* into) -> herr_t {
        static_cast<std::vector<std::string>*>(into)->push_back(name);
        return 0;
      },
      &paths);
  for (const std::string& path : paths) {
    if (path == "run" || path.rfind("run/", 0) == 0) continue;
    const hid_t object = H5Oopen(opened, path.c_str(), H5P_DEFAULT);
    dump[path] = "";
    dump_attributes(object, path, dump);
    if (H5Iget_type(object) == H5I_DATASET) {
      const hid_t type = H5Dget_type(object), space = H5Dget_space(object);
      dump[path] = type_of(type) + shape_of(space) + values_in(type, space, [&](void* into) {
                     return H5Dread(object, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, into);
                   });
      H5Sclose(space);
      H5Tclose(type);
    }
    H5Oclose(object);
  }
  H5Fclose(opened);
  return dump;
}

}  // namespace rvsweep::sample
