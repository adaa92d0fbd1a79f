<?php
// PHP's mysqli (mysqlnd), by the contract of README.md. Run it with
// -d mysqli.allow_local_infile=1, which a script cannot set for itself.

mysqli_report(MYSQLI_REPORT_ERROR | MYSQLI_REPORT_STRICT);

$options = [];
foreach (array_slice($argv, 1) as $word) {
    [$name, $value] = explode('=', $word, 2);
    $options[$name] = $value;
}
$password = getenv('SALLYPORT_PASSWORD');

function connect(array $options, string $password): mysqli
{
    $link = mysqli_init();
    $link->options(MYSQLI_OPT_CONNECT_TIMEOUT, 20);
    $link->options(MYSQLI_OPT_LOCAL_INFILE, true);
    $flags = 0;
    if ($options['tls'] === 'verify') {
        $link->ssl_set(null, null, $options['ca'], null, null);
        $link->options(MYSQLI_OPT_SSL_VERIFY_SERVER_CERT, true);
        $flags = MYSQLI_CLIENT_SSL;
    }
    $link->real_connect($options['host'] ?? null, $options['user'], $password, null,
        (int)($options['port'] ?? 0), $options['socket'] ?? null, $flags);
    return $link;
}

function row(mysqli $link, string $sql): array
{
    return $link->query($sql)->fetch_row();
}

function run(array $options, string $password): string
{
    if ($options['operation'] === 'wrong_password') {
        try {
            connect($options, $password . '-wrong');
        } catch (mysqli_sql_exception $error) {
            if ($error->getCode() === 1045) {
                return '1045';
            }
            throw $error;
        }
        throw new Exception('the wrong password was accepted');
    }
    $link = connect($options, $password);
    switch ($options['operation']) {
        case 'login':
            $cipher = row($link, "SHOW SESSION STATUS LIKE 'Ssl_cipher'")[1];
            return row($link, 'SELECT CURRENT_USER()')[0] . ' ' . ($cipher ?: '-');
        case 'read':
            $count = intdiv(3 << 20, 16);
            $value = row($link, "SELECT REPEAT('sallyport-read--', $count)")[0];
            if ($value !== str_repeat('sallyport-read--', $count)) {
                throw new Exception('wrong bytes, ' . strlen($value) . ' of them');
            }
            return (string)strlen($value);
        case 'write':
            $value = str_repeat('sallyport-write-', intdiv(2 << 20, 16));
            $link->query("SET @v = '$value'");
            [$length, $digest] = row($link, 'SELECT LENGTH(@v), SHA2(@v, 256)');
            if ((int)$length !== 2 << 20 || $digest !== hash('sha256', $value)) {
                throw new Exception("the server has $length bytes, SHA-256 $digest");
            }
            return $length;
        case 'change_user':
            $link->change_user($options['second_user'],
                getenv('SALLYPORT_SECOND_PASSWORD'), null);
            return row($link, 'SELECT CURRENT_USER()')[0];
        case 'local_infile':
            $file = tempnam(sys_get_temp_dir(), 'sallyport-lines-');
            file_put_contents($file, implode("\n", range(1, 1000)) . "\n");
            try {
                $link->query('CREATE TEMPORARY TABLE test.numbers (n INT)');
                $link->query("LOAD DATA LOCAL INFILE '$file' INTO TABLE test.numbers");
                return row($link, 'SELECT COUNT(*) FROM test.numbers')[0];
            } finally {
                unlink($file);
            }
    }
    throw new Exception('unknown operation');
}

try {
    $answer = run($options, $password);
    echo "ok $answer\n";
} catch (Throwable $error) {
    echo 'error ', $error->getCode(), ' ', preg_replace('/\s+/', ' ', $error->getMessage()), "\n";
    exit(1);
}
