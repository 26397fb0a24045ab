package problem

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"

	"github.com/ainative/portcullis/plugins/problem/internal/reading"
)

// maxCodings bounds how often a body may be encoded; servers apply one, rarely two.
const maxCodings = 3

// errTooLarge says that a body decodes to more than is read.
var errTooLarge = errors.New("decoded body is too large")

// builtinDecoders open the content codings of RFC 9110 section 8.4.1, RFC 7932
// and RFC 8878.
var builtinDecoders = map[string]func(io.Reader) (io.ReadCloser, error){
	"gzip":    openGzip,
	"x-gzip":  openGzip,
	"deflate": openDeflate,
	"br":      func(r io.Reader) (io.ReadCloser, error) { return io.NopCloser(brotli.NewReader(r)), nil },
	"zstd":    openZstd,
}

func openGzip(r io.Reader) (io.ReadCloser, error) { return gzip.NewReader(r) }

// openDeflate reads zlib, which is what "deflate" means, and the raw deflate
// that some servers send instead.
func openDeflate(r io.Reader) (io.ReadCloser, error) {
	body, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	if zr, err := zlib.NewReader(bytes.NewReader(body)); err == nil {
		return zr, nil
	}
	return flate.NewReader(bytes.NewReader(body)), nil
}

// openZstd bounds the window: RFC 8878 section 3.1.1.1.2 recommends 8 MiB, and a
// frame may ask for gigabytes.
func openZstd(r io.Reader) (io.ReadCloser, error) {
	d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(8<<20), zstd.WithDecoderMaxMemory(16<<20))
	if err != nil {
		return nil, err
	}
	return d.IOReadCloser(), nil
}

// decode undoes Content-Encoding. It never yields more than maxBody bytes; more
// is errTooLarge, with what fits, so that rules can look at it.
func (t *Translator) decode(body []byte, contentEncoding []string) ([]byte, error) {
	var codings []string
	for _, line := range contentEncoding {
		for c := range strings.SplitSeq(line, ",") {
			if c = strings.ToLower(strings.TrimSpace(c)); c != "" && c != "identity" {
				codings = append(codings, c)
			}
		}
	}
	if len(codings) > maxCodings {
		return nil, fmt.Errorf("%d content codings are too many", len(codings))
	}
	for i := len(codings) - 1; i >= 0 && len(body) > 0; i-- {
		open, ok := t.decoders[codings[i]]
		if !ok {
			return nil, fmt.Errorf("unknown content coding %q", reading.CleanLine(codings[i], 32))
		}
		out, err := inflate(open, body, t.maxBody)
		if err != nil {
			// Proxies decode a body and forget the header; what is no such
			// stream at all is taken as it is.
			if len(out) == 0 && looksLikeText(body) {
				continue
			}
			return out, fmt.Errorf("decoding %s body: %w", codings[i], err)
		}
		body = out
	}
	if int64(len(body)) > t.maxBody {
		return body[:t.maxBody], errTooLarge
	}
	return body, nil
}

func inflate(open func(io.Reader) (io.ReadCloser, error), body []byte, limit int64) ([]byte, error) {
	r, err := open(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	out, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return out, err
	}
	if int64(len(out)) > limit {
		return out[:limit], errTooLarge
	}
	return out, nil
}

// looksLikeText reports whether a body starts like JSON, markup or a sentence
// rather than a compressed stream.
func looksLikeText(body []byte) bool {
	head := body[:min(len(body), 64)]
	for _, b := range head {
		if b < 0x20 && b != '\n' && b != '\r' && b != '\t' || b >= 0x7f {
			return false
		}
	}
	return true
}
