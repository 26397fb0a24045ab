package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
)

// upstreamBody is what the upstream answers: 200 bytes of JSON.
var upstreamBody = func() string {
	const head, tail = `{"id":1,"name":"widget","description":"`, `"}`
	return head + strings.Repeat("x", 200-len(head)-len(tail)) + tail
}()

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

// serveUpstream answers every request with upstreamBody. It reads no further into
// a request than its blank line, so that on a machine of two cores the upstream
// and the load generator together need less than the gateway that is measured.
func serveUpstream(ctx context.Context, listener net.Listener) error {
	response := []byte("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 200\r\n\r\n" + upstreamBody)
	for {
		conn, err := listener.Accept()
		if ctx.Err() != nil {
			return nil //nolint:nilerr // ctx ends the loop by closing the listener: that error is no failure
		}
		if err != nil {
			return fmt.Errorf("accepting: %w", err)
		}
		go answer(conn, response)
	}
}

// answer writes a response for each blank line, until the peer goes.
func answer(conn net.Conn, response []byte) {
	defer conn.Close()
	reader := bufio.NewReaderSize(conn, 16<<10)
	for {
		line, err := reader.ReadSlice('\n')
		if err != nil {
			return
		}
		if len(bytes.TrimRight(line, "\r\n")) > 0 {
			continue
		}
		if _, err := conn.Write(response); err != nil {
			return
		}
	}
}
