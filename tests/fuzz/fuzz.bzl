"""fuzz_test: a fuzz target, as a test that any build runs and as what libFuzzer drives."""

load("//tools/bazel:copts.bzl", "SALLYPORT_COPTS")

def fuzz_test(name, deps, runs, hdrs = [], tags = []):
    """Declares a target of one file, name.cc.

    Args:
      name: of the target; its inputs are in corpus/NAME.
      deps: what it links, beside the harness.
      runs: how many changed inputs a test makes: together all targets take under a minute.
      hdrs: headers of this folder that it includes.
      tags: of the test.
    """
    native.cc_test(
        name = name,
        size = "small",
        srcs = [name + ".cc"] + hdrs + select({
            ":libfuzzer": [],
            "//conditions:default": ["driver.cc"],
        }),
        args = ["-runs=%d" % runs, "%s/corpus/%s" % (native.package_name(), name)],
        copts = SALLYPORT_COPTS,
        data = native.glob(["corpus/%s/*" % name]),
        linkopts = select({
            ":libfuzzer": ["-fsanitize=fuzzer"],
            "//conditions:default": [],
        }),
        tags = tags,
        deps = [":fuzz"] + deps,
    )
