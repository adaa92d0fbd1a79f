// go-sql-driver, by the contract of README.md.
package main

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/go-sql-driver/mysql"
)

var options = map[string]string{}

func connect(password string) (*sql.DB, error) {
	config := mysql.NewConfig()
	config.User = options["user"]
	config.Passwd = password
	config.Net, config.Addr = "tcp", options["host"]+":"+options["port"]
	if options["socket"] != "" {
		config.Net, config.Addr = "unix", options["socket"]
	}
	config.MaxAllowedPacket = 64 << 20
	config.InterpolateParams = true
	if options["tls"] == "verify" {
		pem, err := os.ReadFile(options["ca"])
		if err != nil {
			return nil, err
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(pem)
		settings := &tls.Config{RootCAs: pool, ServerName: options["host"]}
		if options["sni"] != "" {
			settings.ServerName = options["sni"]
		}
		if options["cert"] != "" {
			pair, err := tls.LoadX509KeyPair(options["cert"], options["key"])
			if err != nil {
				return nil, err
			}
			settings.Certificates = []tls.Certificate{pair}
		}
		if options["tls_version"] == "TLSv1.2" {
			settings.MaxVersion = tls.VersionTLS12
		}
		if err = mysql.RegisterTLSConfig("verify", settings); err != nil {
			return nil, err
		}
		config.TLSConfig = "verify"
	}
	link, err := sql.Open("mysql", config.FormatDSN())
	if err != nil {
		return nil, err
	}
	link.SetMaxOpenConns(1)
	return link, link.Ping()
}

func login(link *sql.DB) (string, error) {
	var user, name, cipher string
	if err := link.QueryRow("SELECT CURRENT_USER()").Scan(&user); err != nil {
		return "", err
	}
	err := link.QueryRow("SHOW SESSION STATUS LIKE 'Ssl_cipher'").Scan(&name, &cipher)
	if cipher == "" {
		cipher = "-"
	}
	return user + " " + cipher, err
}

func read(link *sql.DB) (string, error) {
	const count = (3 << 20) / 16
	var value string
	err := link.QueryRow(fmt.Sprintf("SELECT REPEAT('sallyport-read--', %d)", count)).Scan(&value)
	if err == nil && value != strings.Repeat("sallyport-read--", count) {
		err = fmt.Errorf("wrong bytes, %d of them", len(value))
	}
	return fmt.Sprint(len(value)), err
}

func write(link *sql.DB) (string, error) {
	value := strings.Repeat("sallyport-write-", (2<<20)/16)
	if _, err := link.Exec("SET @v = ?", value); err != nil {
		return "", err
	}
	var length int
	var sum string
	err := link.QueryRow("SELECT LENGTH(@v), SHA2(@v, 256)").Scan(&length, &sum)
	if err == nil && (length != 2<<20 || sum != fmt.Sprintf("%x", sha256.Sum256([]byte(value)))) {
		err = fmt.Errorf("the server has %d bytes, SHA-256 %s", length, sum)
	}
	return fmt.Sprint(length), err
}

func localInfile(link *sql.DB) (string, error) {
	file, err := os.CreateTemp("", "sallyport-lines-")
	if err != nil {
		return "", err
	}
	defer os.Remove(file.Name())
	fmt.Fprint(file, strings.Repeat("7\n", 1000))
	file.Close()
	mysql.RegisterLocalFile(file.Name())
	if _, err = link.Exec("CREATE TEMPORARY TABLE test.numbers (n INT)"); err != nil {
		return "", err
	}
	load := "LOAD DATA LOCAL INFILE '" + file.Name() + "' INTO TABLE test.numbers"
	if _, err = link.Exec(load); err != nil {
		return "", err
	}
	var count string
	err = link.QueryRow("SELECT COUNT(*) FROM test.numbers").Scan(&count)
	return count, err
}

func number(err error) uint16 {
	var answer *mysql.MySQLError
	if errors.As(err, &answer) {
		return answer.Number
	}
	return 0
}

func run() (string, error) {
	password := os.Getenv("SALLYPORT_PASSWORD")
	if options["operation"] == "wrong_password" {
		_, err := connect(password + "-wrong")
		if err == nil {
			return "", errors.New("the wrong password was accepted")
		}
		if number(err) == 1045 {
			return "1045", nil
		}
		return "", err
	}
	operations := map[string]func(*sql.DB) (string, error){
		"login": login, "read": read, "write": write, "local_infile": localInfile,
	}
	operation := operations[options["operation"]]
	if operation == nil {
		fmt.Println("unsupported")
		os.Exit(3)
	}
	link, err := connect(password)
	if err != nil {
		return "", err
	}
	defer link.Close()
	return operation(link)
}

func main() {
	for _, word := range os.Args[1:] {
		if name, value, found := strings.Cut(word, "="); found {
			options[name] = value
		}
	}
	answer, err := run()
	if err != nil {
		fmt.Println("error", number(err), strings.Join(strings.Fields(err.Error()), " "))
		os.Exit(1)
	}
	fmt.Println("ok", answer)
}
