#!/usr/bin/perl
# Perl's DBD::MariaDB (MariaDB Connector/C), by the contract of README.md.
use strict;
use warnings;
use DBI;
use Digest::SHA qw(sha256_hex);
use File::Temp;

my %option = map { split /=/, $_, 2 } @ARGV;
my $password = $ENV{SALLYPORT_PASSWORD};

sub dial {
    my ($secret) = @_;
    my $dsn = 'DBI:MariaDB:mariadb_connect_timeout=20;mariadb_local_infile=1';
    $dsn .= $option{socket} ? ";mariadb_socket=$option{socket}"
                            : ";host=$option{host};port=$option{port}";
    $dsn .= ";mariadb_ssl=1;mariadb_ssl_verify_server_cert=1;mariadb_ssl_ca_file=$option{ca}"
        if $option{tls} eq 'verify';
    return DBI->connect($dsn, $option{user}, $secret,
        { RaiseError => 0, PrintError => 0, LongReadLen => 64 << 20 });
}

sub give_up {
    my ($number, $message) = @_;
    $message =~ s/\s+/ /g;
    print "error $number $message\n";
    exit 1;
}

my %operation = (
    login => sub {
        my ($link) = @_;
        my ($user) = $link->selectrow_array('SELECT CURRENT_USER()');
        my (undef, $cipher) = $link->selectrow_array("SHOW SESSION STATUS LIKE 'Ssl_cipher'");
        return "$user " . ($cipher || '-');
    },
    read => sub {
        my ($link) = @_;
        my $count = (3 << 20) / 16;
        my ($value) = $link->selectrow_array("SELECT REPEAT('sallyport-read--', $count)");
        give_up(0, 'wrong bytes') if $value ne 'sallyport-read--' x $count;
        return length $value;
    },
    write => sub {
        my ($link) = @_;
        my $value = 'sallyport-write-' x ((2 << 20) / 16);
        $link->do('SET @v = ?', undef, $value);
        my ($length, $digest) = $link->selectrow_array('SELECT LENGTH(@v), SHA2(@v, 256)');
        give_up(0, "the server has $length bytes, SHA-256 $digest")
            if $length != 2 << 20 || $digest ne sha256_hex($value);
        return $length;
    },
    local_infile => sub {
        my ($link) = @_;
        my $file = File::Temp->new;
        print $file "$_\n" for 1 .. 1000;
        close $file;
        $link->do('CREATE TEMPORARY TABLE test.numbers (n INT)');
        $link->do("LOAD DATA LOCAL INFILE '$file' INTO TABLE test.numbers");
        my ($count) = $link->selectrow_array('SELECT COUNT(*) FROM test.numbers');
        return $count;
    },
);

if ($option{operation} eq 'wrong_password') {
    give_up(0, 'the wrong password was accepted') if dial("$password-wrong");
    give_up(DBI->err, DBI->errstr) if DBI->err != 1045;
    print "ok 1045\n";
    exit 0;
}
my $run = $operation{ $option{operation} };
if (!$run) {
    print "unsupported\n";
    exit 3;
}
my $link = dial($password) or give_up(DBI->err, DBI->errstr);
my $answer = $run->($link);
give_up($link->err, $link->errstr) if !defined $answer || $link->err;
print "ok $answer\n";
$link->disconnect;
