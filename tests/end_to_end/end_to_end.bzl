"""One end-to-end script as two tests, one for each engine."""

def end_to_end_tests(name, size, args = []):
    """Makes NAME_io_uring_test and NAME_epoll_test, and NAME_tests that runs both.

    Args:
      name: of the script, without .py.
      size: Bazel's word for its time limit.
      args: more arguments for it.
    """
    for engine in ["io_uring", "epoll"]:
        native.sh_test(
            name = "%s_%s_test" % (name, engine),
            size = size,
            srcs = ["run_test.sh"],
            args = [
                "$(rootpath %s.py)" % name,
                "--proxy",
                "$(rootpath //proxy:server)",
                "--io_engine",
                engine,
            ] + args,
            data = native.glob(["*.py", "clients/**"]) + [
                "//contrib",
                "//proxy:server",
                "//tools:mysql_root",
            ],
            # They start servers and measure time, so each wants the machine for itself; and they
            # use the user's cache, the network of the machine, and what is installed.
            tags = [
                "exclusive",
                "external",
                "local",
            ],
        )
    native.test_suite(
        name = name + "_tests",
        tests = [
            ":%s_epoll_test" % name,
            ":%s_io_uring_test" % name,
        ],
    )
