# Writes OUTPUT with {name, content} of every file of FILES (joined by "|"), for an array in C++.
string(REPLACE "|" ";" FILES "${FILES}")
set(entries "")
foreach(path IN LISTS FILES)
  get_filename_component(name "${path}" NAME)
  file(READ "${path}" content)
  string(APPEND entries "{\"${name}\", R\"rvsweep(${content})rvsweep\"},\n")
endforeach()
file(WRITE "${OUTPUT}" "${entries}")
