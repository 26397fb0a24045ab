package proxyhandler

import (
	"compress/gzip"
	"errors"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/ainative/portcullis/plugins/httpclient"
)

func canonical(name string) string { return http.CanonicalHeaderKey(name) }

func statusText(status int, reason string) string { return strconv.Itoa(status) + " " + reason }

// header is the response's, without what only this connection needs to know: fields
// that its Connection names, and framing.
func (t *try) header() http.Header {
	header := make(http.Header, len(t.x.Fields))
	for _, f := range t.x.Fields {
		name := canonical(f.Name)
		if name == "Content-Length" && header[name] != nil {
			continue // the same once more
		}
		header[name] = append(header[name], f.Value)
	}
	connection := header["Connection"]
	for _, list := range connection {
		for name := range strings.SplitSeq(list, ",") {
			if name = strings.TrimSpace(name); name != "" {
				header.Del(name)
			}
		}
	}
	for name := range header {
		if hopByHop(name) {
			delete(header, name)
		}
	}
	return header
}

// respond sends the response to the client. It panics with http.ErrAbortHandler
// when it can't send all of it, which cuts the client's connection: the header is
// out by then, and a client must not take a part for the whole.
func (t *try) respond() {
	x := t.x
	header := t.w.Header()
	delete(header, "Server")
	unpack := t.unpacks()
	var incremental bool
	if t.usual() {
		incremental = t.copyHeader(header, unpack)
	} else {
		incremental = t.copyChangedHeader(header, unpack)
	}
	announced := len(x.Trailer)
	if announced > 0 {
		names := slices.Sorted(maps.Keys(x.Trailer))
		header["Trailer"] = append(header["Trailer"], strings.Join(names, ", "))
	}
	t.w.WriteHeader(x.Status)

	flush := incremental || t.handler.FlushInterval < 0 || x.Length < 0 || unpack
	var err error
	if unpack {
		err = t.copyUnpacked()
	} else {
		err = t.copyBody(flush, header["Content-Type"] == nil)
	}
	if err != nil {
		t.cut(err)
	}
	trailer := x.Trailer
	x.Finish()
	if len(trailer) == 0 {
		return
	}
	// Else net/http would send a short body with its length, and no trailer.
	_ = http.NewResponseController(t.w).Flush()
	prefix := ""
	if len(trailer) != announced {
		prefix = http.TrailerPrefix
	}
	for name, values := range trailer {
		if values != nil {
			header[prefix+name] = append(header[prefix+name], values...)
		}
	}
}

// usual tells whether the response's header can be copied field by field.
func (t *try) usual() bool {
	if ops := t.handler.Headers; ops != nil && ops.Response != nil {
		return false
	}
	for _, f := range t.x.Fields {
		if len(f.Name) == len("Connection") && strings.EqualFold(f.Name, "Connection") && !usualConnection(f.Value) {
			return false
		}
	}
	return true
}

// copyHeader adds the response's fields to the client's, and tells whether the
// response is to be passed on piece by piece.
func (t *try) copyHeader(header http.Header, unpack bool) (incremental bool) {
	// One array for the values of all fields, as net/textproto makes it.
	values := make([]string, 1, 1+len(t.x.Fields))
	values[0] = via(1, t.x.Minor)
	if before, present := header["Via"]; present {
		header["Via"] = append(before, values[0])
	} else {
		header["Via"] = values[:1:1]
	}
	length := false
	for _, f := range t.x.Fields {
		name := canonical(f.Name)
		switch name {
		case "Alt-Svc", "Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization",
			"Te", "Trailer", "Transfer-Encoding", "Upgrade":
			continue
		case "Content-Length":
			if unpack || length {
				continue
			}
			length = true
		case "Content-Encoding":
			if unpack {
				continue
			}
		case "Content-Type":
			incremental = incremental || isEventStream(f.Value)
		case "Incremental":
			incremental = incremental || caddyhttp.IsIncremental(http.Header{name: {f.Value}})
		}
		if before, present := header[name]; present {
			header[name] = append(before, f.Value)
			continue
		}
		n := len(values)
		values = append(values, f.Value)
		header[name] = values[n : n+1 : n+1]
	}
	return incremental
}

// copyChangedHeader is copyHeader with header_down, and for a response whose
// Connection names fields to remove.
func (t *try) copyChangedHeader(header http.Header, unpack bool) (incremental bool) {
	header["Via"] = append(header["Via"], via(1, t.x.Minor))
	changed := t.header()
	if unpack {
		delete(changed, "Content-Length")
		delete(changed, "Content-Encoding")
	}
	incremental = caddyhttp.IsIncremental(changed)
	if ops := t.handler.Headers; ops != nil && ops.Response != nil {
		if ops.Response.Require == nil || ops.Response.Require.Match(t.x.Status, changed) {
			ops.Response.ApplyTo(changed, t.repl)
		}
	}
	for name, values := range changed {
		for _, value := range values {
			header.Add(name, value)
		}
	}
	return incremental || caddyhttp.IsIncremental(changed) || isEventStream(changed.Get("Content-Type"))
}

func isEventStream(contentType string) bool {
	const event = "text/event-stream"
	if len(contentType) < len(event) || !strings.EqualFold(contentType[:len(event)], event) {
		return false
	}
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && media == event
}

// unpacks tells whether the body is to be unpacked: it was packed because we asked
// for it, and the client did not.
func (t *try) unpacks() bool {
	if !t.gzip || !t.x.HasBody() {
		return false
	}
	for _, f := range t.x.Fields {
		if len(f.Name) == len("Content-Encoding") && strings.EqualFold(f.Name, "Content-Encoding") {
			return strings.EqualFold(f.Value, "gzip")
		}
	}
	return false
}

// copyBody copies the body. With flush, nothing is held back while the upstream is
// waited for; without, net/http writes when its buffer is full. A header without a
// type goes out at once then, as with reverse_proxy: net/http would else look at the
// body and guess one.
func (t *try) copyBody(flush, untyped bool) error {
	if !t.x.HasBody() {
		return nil
	}
	if flush && untyped {
		if err := http.NewResponseController(t.w).Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return err
		}
	}
	for {
		if flush && !t.x.Ready() {
			if err := http.NewResponseController(t.w).Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
				return err
			}
		}
		piece, err := t.x.Next()
		if len(piece) > 0 {
			if _, err := t.w.Write(piece); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return httpclient.Failure(t.r.Context(), err)
		}
	}
}

// pieces reads the body as a stream, flushing before it waits.
type pieces struct {
	t    *try
	rest []byte
}

func (p *pieces) Read(b []byte) (int, error) {
	for len(p.rest) == 0 {
		if !p.t.x.Ready() {
			if err := http.NewResponseController(p.t.w).Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
				return 0, err
			}
		}
		piece, err := p.t.x.Next()
		if err != nil && len(piece) == 0 {
			return 0, err
		}
		p.rest = piece
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

// copyUnpacked copies a body that was packed by gzip.
func (t *try) copyUnpacked() error {
	if header := t.w.Header(); header["Content-Type"] == nil {
		_ = http.NewResponseController(t.w).Flush()
	}
	source := &pieces{t: t}
	reader, err := gzip.NewReader(source)
	if errors.Is(err, io.EOF) {
		return nil // nothing was packed
	}
	if err != nil {
		return err
	}
	buffer := make([]byte, 16<<10)
	for {
		n, err := reader.Read(buffer)
		if n > 0 {
			if _, err := t.w.Write(buffer[:n]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return httpclient.Failure(t.r.Context(), err)
		}
	}
	// To the end, so that the connection can be used again.
	_, err = io.Copy(io.Discard, source)
	return err
}

// cut ends a response that can't be completed.
func (t *try) cut(err error) {
	t.logger.Warn("aborting with incomplete response", zap.String("upstream", t.upstream.Dial), zap.Error(err))
	// What there is reaches the client, as with reverse_proxy.
	_ = http.NewResponseController(t.w).Flush()
	panic(http.ErrAbortHandler)
}
