"""One end-to-end script as two tests, one for each engine."""

def end_to_end_tests(name, size, args = [], data = [], engines = ["io_uring", "epoll"]):
    """Makes NAME_io_uring_test and NAME_epoll_test, and NAME_tests that runs both.

    Args:
      name: of the script, without .py.
      size: Bazel's word for its time limit.
      args: more arguments for it.
      data: more of what it needs.
      engines: where one will do.
    """
    for engine in engines:
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
            ] + data,
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
            ":%s_%s_test" % (name, engine)
            for engine in engines
        ],
    )
