package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// answerOf returns a JSON response with a body of size bytes.
func answerOf(size int) []byte {
	const head, tail = `{"id":1,"name":"widget","description":"`, `"}`
	body := head + strings.Repeat("x", size-len(head)-len(tail)) + tail
	return fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", size, body)
}

// upstreamCommand serves on the address that is its one argument until ctx ends.
func upstreamCommand(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return errors.New("upstream: want one argument, the address to listen on")
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", args[0])
	if err != nil {
		return fmt.Errorf("listening for the upstream: %w", err)
	}
	context.AfterFunc(ctx, func() { _ = listener.Close() })
	return serveUpstream(ctx, listener)
}

// serveUpstream answers every request with 200 bytes, or 100 KB for largePath. It
// reads of a request no more than it must, so that on a machine of two cores the
// upstream and the load generator together need less than the gateway that is
// measured.
func serveUpstream(ctx context.Context, listener net.Listener) error {
	small, large := answerOf(200), answerOf(100<<10)
	for {
		conn, err := listener.Accept()
		if ctx.Err() != nil {
			return nil //nolint:nilerr // ctx ends the loop by closing the listener: that error is no failure
		}
		if err != nil {
			return fmt.Errorf("accepting: %w", err)
		}
		go answer(conn, small, large)
	}
}

// answer writes a response for each request, until the peer goes or sends what it
// does not understand.
func answer(conn net.Conn, small, large []byte) {
	defer conn.Close()
	reader := bufio.NewReaderSize(conn, 16<<10)
	for {
		wantsLarge, body, err := readRequest(reader)
		if err != nil {
			return
		}
		if _, err := reader.Discard(body); err != nil {
			return
		}
		response := small
		if wantsLarge {
			response = large
		}
		if _, err := conn.Write(response); err != nil {
			return
		}
	}
}

// readRequest reads a request's header, and tells how long its body is.
func readRequest(reader *bufio.Reader) (wantsLarge bool, body int, err error) {
	for first := true; ; first = false {
		line, err := reader.ReadSlice('\n')
		if err != nil {
			return false, 0, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if first {
			wantsLarge = bytes.Contains(line, []byte(" "+largePath+" "))
			continue
		}
		if len(line) == 0 {
			return wantsLarge, body, nil
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch {
		case len(name) == len("Content-Length") && bytes.EqualFold(name, []byte("Content-Length")):
			if body, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return false, 0, err
			}
		case len(name) == len("Transfer-Encoding") && bytes.EqualFold(name, []byte("Transfer-Encoding")):
			return false, 0, errors.New("a body in chunks")
		}
	}
}
