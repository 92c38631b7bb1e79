// Command mongo-wire serves the MongoDB wire protocol for tests: FerretDB over SQLite, in one process.
//
// It owns nothing but the wiring. It writes one line, its connection string, to standard output when it is ready, and
// ends when its standard input closes or on SIGTERM, so that no test leaves one behind.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/FerretDB/FerretDB/ferretdb"
)

func main() {
	state := flag.String("state", "", "directory of the database; made where it is missing")
	port := flag.Int("port", 0, "port on 127.0.0.1; 0 picks a free one")
	watchStdin := flag.Bool("until-stdin-closes", false, "end when standard input closes")
	flag.Parse()
	if err := run(*state, *port, *watchStdin); err != nil {
		fmt.Fprintln(os.Stderr, "mongo-wire:", err)
		os.Exit(1)
	}
}

func run(state string, port int, watchStdin bool) error {
	if state == "" {
		return fmt.Errorf("no --state DIR given")
	}
	state, err := filepath.Abs(state)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(state, 0o755); err != nil {
		return err
	}

	server, err := ferretdb.New(&ferretdb.Config{
		Listener:  ferretdb.ListenerConfig{TCP: fmt.Sprintf("127.0.0.1:%d", port)},
		Logger:    slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
		Handler:   "sqlite",
		SQLiteURL: "file:" + state + "/",
	})
	if err != nil {
		return err
	}

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if watchStdin {
		go func() {
			// Only the end of the input matters.
			_, _ = io.Copy(io.Discard, os.Stdin)
			stop()
		}()
	}

	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()

	uri := server.MongoDBURI()
	if err := waitFor(uri); err != nil {
		return err
	}
	fmt.Println(uri)
	return <-ended
}

// waitFor returns once the server takes connections.
func waitFor(uri string) error {
	address := strings.TrimSuffix(strings.TrimPrefix(uri, "mongodb://"), "/")
	deadline := time.Now().Add(10 * time.Second)
	for {
		connection, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			return connection.Close()
		}
		if time.Now().After(deadline) {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
}
