"""Says what was checked and how it came out, one line a check."""

import traceback


def say(line):
    """One write, so that the lines of threads do not run into each other."""
    print(line + "\n", end="", flush=True)


class Report:
    """Collects checks; exit_code() is 1 if any failed."""

    def __init__(self):
        self.passed = 0
        self.failed = []

    def check(self, name, good, detail=""):
        if good:
            self.passed += 1
            say(f"ok      {name}")
        else:
            self.failed.append(name)
            say(f"FAILED  {name}: {detail}")
        return bool(good)

    def equal(self, name, found, expected, detail=""):
        return self.check(name, found == expected,
                          f"expected {expected!r}, found {found!r}. {detail}")

    def attempt(self, name, function, *arguments):
        """Runs a check that reports for itself; an exception is a failure, not the end."""
        try:
            return function(*arguments)
        except Exception as error:  # pylint: disable=broad-except
            where = traceback.extract_tb(error.__traceback__)[-1]
            self.check(name, False,
                       f"{type(error).__name__}: {error} ({where.name}:{where.lineno})")
            return None

    def attempt_each(self, checks, only, *arguments):
        """Attempts those that have `only` in their name."""
        for check in checks:
            if only in check.__name__:
                self.attempt(check.__name__, check, *arguments)

    def exit_code(self):
        print(f"{self.passed} passed, {len(self.failed)} failed")
        for name in self.failed:
            print(f"  failed: {name}")
        return 1 if self.failed else 0
