"""Compiler flags that .bazelrc cannot give: for our own code, or depending on the build.

Flags that every object gets whatever the build (-fstack-protector-strong) are in .bazelrc.
"""

# For BoringSSL and for us. Fortify is off outside -c opt: glibc warns when nothing is optimised,
# and its checks would hide what a sanitizer is there to report.
HARDENING_COPTS = select({
    "@sallyport//tools/bazel:opt": ["-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=2"],
    "//conditions:default": ["-U_FORTIFY_SOURCE"],
}) + select({
    "@platforms//cpu:x86_64": ["-fcf-protection"],
    "//conditions:default": [],
})

# For our own code only; libraries of others build quietly.
SALLYPORT_COPTS = [
    "-Wall",
    "-Wextra",
    "-Wshadow",
    "-Wswitch-enum",
] + select({
    # What a sanitizer adds lets gcc see overflows where there are none, as its manual says.
    "@sallyport//tools/bazel:sanitizer": [
        "-Wno-array-bounds",
        "-Wno-stringop-overflow",
    ],
    "//conditions:default": ["-Werror"],
}) + HARDENING_COPTS
