package bearer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"time"
)

const (
	// fetchTimeout bounds one fetch, discovery included.
	fetchTimeout = 5 * time.Second
	// maxRedirects bounds redirects, all of them within one host.
	maxRedirects = 3
	// maxFetchHeaders bounds the headers of an answer, in bytes.
	maxFetchHeaders = 64 << 10
)

// fetcher gets small JSON documents from one identity provider.
type fetcher struct{ client *http.Client }

// newFetcher builds on the given client, or makes one that may only dial
// loopback when the URL is plain http.
func newFetcher(base *http.Client, rawURL string) *fetcher {
	client := &http.Client{Transport: newTransport(strings.HasPrefix(rawURL, "http:"))}
	if base != nil {
		*client = *base
	}
	// The context of each fetch bounds it.
	client.Timeout = 0
	client.CheckRedirect = checkRedirect
	client.Jar = nil
	return &fetcher{client: client}
}

// newTransport makes connections that end with each fetch: one every few minutes
// gains nothing from keeping them, and a reloaded configuration leaves none.
func newTransport(loopbackOnly bool) *http.Transport {
	dialer := &net.Dialer{
		Timeout: fetchTimeout,
		Control: func(_, address string, _ syscall.RawConn) error { return checkAddress(address, loopbackOnly) },
	}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialer.DialContext,
		TLSHandshakeTimeout:    fetchTimeout,
		MaxResponseHeaderBytes: maxFetchHeaders,
		DisableKeepAlives:      true,
		DisableCompression:     true,
		ForceAttemptHTTP2:      true,
	}
}

// checkAddress refuses addresses where no identity provider lives but cloud
// metadata does. It sees what DNS answered, so a name can't get around it.
// Private addresses are allowed: many providers are in-house.
func checkAddress(address string, loopbackOnly bool) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("checking the address %s: %w", address, err)
	}
	ip := ap.Addr().Unmap()
	switch {
	case ip.IsLinkLocalUnicast(), ip.IsMulticast(), ip.IsUnspecified():
		return fmt.Errorf("%s is a link-local, multicast or unspecified address; keys are not fetched from there", ip)
	case loopbackOnly && !ip.IsLoopback():
		return fmt.Errorf("%s is not this machine, and the URL is http; use https", ip)
	}
	return nil
}

// checkRedirect follows redirects within a host only: a provider with an open
// redirect must not be able to send us elsewhere for keys.
func checkRedirect(next *http.Request, via []*http.Request) error {
	first := via[0].URL
	if next.URL.Scheme != first.Scheme || !strings.EqualFold(next.URL.Host, first.Host) {
		return fmt.Errorf("redirected to another host (%s); configure that URL if it is right", next.URL.Host)
	}
	if len(via) > maxRedirects {
		return fmt.Errorf("redirected more than %d times", maxRedirects)
	}
	return nil
}

// get returns the body of a 200, at most maxJWKSBytes of it.
func (f *fetcher) get(ctx context.Context, rawURL string) ([]byte, error) {
	u, err := checkURL(rawURL)
	if err != nil {
		return nil, err
	}
	accept := http.Header{"Accept": {"application/jwk-set+json, application/json"}}
	res, err := f.client.Do((&http.Request{Method: http.MethodGet, URL: u, Host: u.Host, Header: accept}).WithContext(ctx))
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered %d", rawURL, res.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxJWKSBytes+1))
	if err != nil {
		return nil, fmt.Errorf("reading the answer of %s: %w", rawURL, err)
	}
	if len(body) > maxJWKSBytes {
		return nil, fmt.Errorf("%s answered with more than %d bytes", rawURL, maxJWKSBytes)
	}
	return body, nil
}

// discover asks an OpenID provider for the URL of its keys (OpenID Connect
// Discovery 1.0 sections 4.1 and 4.3).
func (f *fetcher) discover(ctx context.Context, issuerURL string) (string, error) {
	body, err := f.get(ctx, strings.TrimSuffix(issuerURL, "/")+"/.well-known/openid-configuration")
	if err != nil {
		return "", err
	}
	var metadata struct {
		Issuer  string `json:"issuer"`
		JWKSURI string `json:"jwks_uri"`
	}
	if err := json.Unmarshal(body, &metadata); err != nil {
		return "", fmt.Errorf("parsing the provider's metadata: %w", err)
	}
	if metadata.Issuer != issuerURL {
		return "", fmt.Errorf("the provider calls itself %s, not %s; the two must be equal to the last character", quote(metadata.Issuer), quote(issuerURL))
	}
	u, err := checkURL(metadata.JWKSURI)
	if err != nil {
		return "", fmt.Errorf("the provider's jwks_uri %s: %w", quote(metadata.JWKSURI), err)
	}
	if strings.HasPrefix(issuerURL, "https:") && u.Scheme != "https" {
		return "", errors.New("the provider's jwks_uri is http although the provider is https")
	}
	return metadata.JWKSURI, nil
}
