"""BoringSSL from source: Debian's source package by default, or a checkout of upstream.

Both give @boringssl//:ssl and @boringssl//:crypto through one BUILD file (boringssl.BUILD); what
differs, their lists of files, is in sources.bzl (boringssl_debian.bzl or boringssl_upstream.bzl).
"""

# The newest in Debian 12. Debian's own patches touch rare architectures, a generator script and a
# test, so the pinned upstream tarball is all that is used.
_PACKAGE = "android-platform-external-boringssl"
_VERSION = "13.0.0+r24-2"
_TARBALL = "android-platform-external-boringssl_13.0.0+r24.orig.tar.xz"
_SHA256 = "583b7aeee1fca68b8244d086cea6fca23bd19d517bd63f0b9de714e048f92a7d"
_PREFIX = "android-platform-external-boringssl-13.0.0+r24"

def _debian(ctx):
    script = ctx.path(Label("@sallyport//tools/bazel:download_boringssl"))
    ctx.report_progress("Downloading %s %s with apt" % (_PACKAGE, _VERSION))
    result = ctx.execute([script, _PACKAGE, _VERSION, _TARBALL, _SHA256], timeout = 1200)
    if result.return_code != 0:
        fail("BoringSSL's source cannot be had:\n%s" % result.stderr)
    ctx.report_progress("Extracting " + _TARBALL)
    ctx.extract(result.stdout.strip(), stripPrefix = _PREFIX)
    ctx.delete("BUILD")
    ctx.symlink(Label("@sallyport//tools/bazel:boringssl_debian.bzl"), "sources.bzl")

def _upstream(ctx, checkout):
    if not ctx.path(checkout + "/gen/sources.bzl").exists:
        fail("SALLYPORT_BORINGSSL=%s is no checkout of BoringSSL: no gen/sources.bzl" % checkout)
    for name in ["LICENSE", "crypto", "gen", "include", "ssl", "third_party"]:
        ctx.symlink(checkout + "/" + name, name)
    ctx.symlink(Label("@sallyport//tools/bazel:boringssl_upstream.bzl"), "sources.bzl")

def _boringssl_repository_impl(ctx):
    checkout = ctx.os.environ.get("SALLYPORT_BORINGSSL", "")
    if checkout:
        _upstream(ctx, checkout)
    else:
        _debian(ctx)
    ctx.file("WORKSPACE", 'workspace(name = "boringssl")\n')
    ctx.symlink(Label("@sallyport//tools/bazel:boringssl.BUILD"), "BUILD.bazel")

boringssl_repository = repository_rule(
    implementation = _boringssl_repository_impl,
    environ = ["SALLYPORT_BORINGSSL"],
)
