"""A library that Debian installs: its headers and archives stay where the package put them.

The compiler finds /usr/include and /usr/lib by itself, so a BUILD file in tools/bazel/system only
names what to link and the macros the package was built with.
"""

def _system_library_impl(ctx):
    header = ctx.path("/usr/include/" + ctx.attr.header)
    if not header.exists:
        fail("%s is missing. Run tools/setup, or install %s" % (header, ctx.attr.packages))
    ctx.symlink(ctx.attr.build_file, "BUILD.bazel")

_system_library = repository_rule(
    implementation = _system_library_impl,
    local = True,  # Look again each time Bazel starts: the package may have come or gone.
    attrs = {
        "build_file": attr.label(mandatory = True),
        "header": attr.string(mandatory = True),
        "packages": attr.string(mandatory = True),
    },
)

def system_library(name, packages, header):
    """Declares @name from tools/bazel/system/name.BUILD.

    Args:
      name: the external repository's name.
      packages: the Debian packages it comes from, for the error message.
      header: a header below /usr/include that is there when they are installed.
    """
    _system_library(
        name = name,
        build_file = "@sallyport//tools/bazel:system/%s.BUILD" % name,
        header = header,
        packages = packages,
    )
