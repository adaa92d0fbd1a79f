"""A fault planted in the proxy, which the simulator must find."""

load("//tools/bazel:copts.bzl", "SALLYPORT_COPTS")

def _quoted(text):
    return "'" + text.replace("'", "'\\''").replace("$", "$$") + "'"

def planted_fault(name, source, old, new, sessions = 20000):
    """Makes NAME_test: the simulator with `new` in the place of `old` in one file of the proxy.

    The object made of the copy is linked in front of the library that has the original, which
    then is not needed any more.

    Args:
      name: of the fault.
      source: the file's label.
      old: text that the file has exactly once.
      new: what stands there instead.
      sessions: within which it must be found.
    """
    # The simulator is tested, not the proxy; and what a fault breaks might end in a report.
    only_plain = select({
        "//tools/bazel:sanitizer": ["//tools/bazel:no_sanitizer"],
        "//conditions:default": [],
    })
    copy = name + "/" + source.split(":")[1]
    native.genrule(
        name = name + "_source",
        testonly = True,
        srcs = [source],
        outs = [copy],
        cmd = "$(location plant.py) $< $@ %s %s" % (_quoted(old), _quoted(new)),
        tools = ["plant.py"],
    )
    native.cc_binary(
        name = name + "_simulator",
        testonly = True,
        srcs = [copy],
        copts = SALLYPORT_COPTS + ["-w"],  # What a fault leaves unused is no news.
        target_compatible_with = only_plain,
        deps = [":world"],
    )
    native.sh_test(
        name = name + "_test",
        size = "medium",
        target_compatible_with = only_plain,
        srcs = ["find_planted.sh"],
        args = ["$(rootpath :%s_simulator)" % name, str(sessions)],
        data = [":%s_simulator" % name],
    )
