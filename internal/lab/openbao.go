package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
)

// noAuditByAPI is what OpenBao says to PUT sys/audit since 2.3.2.
const noAuditByAPI = "cannot enable audit device via API"

// openBao stands in front of a Vault and answers as OpenBao 2.5 does where the two differ for
// harvest: no audit device by the API, no jwks_pairs, no word on licences, and namespaces, of
// which each is a Vault of its own with the same root token. HARVEST_AS=openbao puts one in front
// of each Vault that the lab starts. A server of OpenBao's own (HARVEST_VAULT) needs none.
type openBao struct {
	address string
	server  *httptest.Server
	root    *url.URL
	options VaultOptions

	mu         sync.Mutex
	namespaces map[string]*Vault
}

func newOpenBao(address string, o VaultOptions) (*openBao, error) {
	root, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	b := &openBao{root: root, namespaces: map[string]*Vault{}}
	b.options = VaultOptions{Binary: o.Binary, RootToken: o.RootToken, plugins: o.plugins, inNamespace: true}
	b.server = httptest.NewServer(b)
	b.address = b.server.URL
	return b, nil
}

func (b *openBao) stop() {
	b.server.Close()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, v := range b.namespaces {
		v.Stop()
	}
}

func (b *openBao) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	namespace := strings.Trim(r.Header.Get("X-Vault-Namespace"), "/")
	name, making := strings.CutPrefix(r.URL.Path, "/v1/sys/namespaces/")
	writes := r.Method == http.MethodPut || r.Method == http.MethodPost
	switch {
	case strings.HasPrefix(r.URL.Path, "/v1/sys/audit/") && writes:
		refuse(w, http.StatusBadRequest, noAuditByAPI+"; use declarative, config-based audit device management instead")
	case making && writes && namespace == "":
		if err := b.create(r.Context(), name); err != nil {
			refuse(w, http.StatusInternalServerError, err.Error())
		}
	case namespace == "":
		b.forward(w, r, b.root)
	default:
		b.mu.Lock()
		inside := b.namespaces[namespace]
		b.mu.Unlock()
		if inside == nil {
			refuse(w, http.StatusNotFound, fmt.Sprintf("namespace %q not found", namespace))
			return
		}
		r.Header.Del("X-Vault-Namespace")
		target, err := url.Parse(inside.Address)
		if err != nil {
			panic(err) // the address is ours
		}
		b.forward(w, r, target)
	}
}

// create makes a namespace, unless there is one.
func (b *openBao) create(ctx context.Context, name string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.namespaces[name] != nil {
		return nil
	}
	v, err := StartVault(ctx, b.options)
	if err == nil {
		b.namespaces[name] = v
	}
	return err
}

func refuse(w http.ResponseWriter, status int, text string) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string][]string{"errors": {text}})
}

func (b *openBao) forward(w http.ResponseWriter, r *http.Request, to *url.URL) {
	config := strings.HasPrefix(r.URL.Path, "/v1/auth/") && strings.HasSuffix(r.URL.Path, "/config")
	if config && r.Body != nil {
		sent, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		sent = without(sent, "jwks_pairs")
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(sent)), int64(len(sent))
	}
	proxy := httputil.ReverseProxy{
		Rewrite:       func(p *httputil.ProxyRequest) { p.SetURL(to) },
		FlushInterval: -1,
		ErrorHandler:  func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }, // it is away
		ModifyResponse: func(answer *http.Response) error {
			switch {
			case config:
				return change(answer, "jwks_pairs")
			case r.URL.Path == "/v1/sys/health":
				return change(answer, "enterprise")
			}
			return nil
		},
	}
	proxy.ServeHTTP(w, r)
}

// change takes a field out of an answer.
func change(answer *http.Response, field string) error {
	got, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	got = without(got, field)
	answer.Body, answer.ContentLength = io.NopCloser(bytes.NewReader(got)), int64(len(got))
	answer.Header.Set("Content-Length", fmt.Sprint(len(got)))
	return nil
}

// without returns a document without a field, of its data either; what isn't one stays as it is.
func without(document []byte, field string) []byte {
	var all map[string]json.RawMessage
	if json.Unmarshal(document, &all) != nil {
		return document
	}
	delete(all, field)
	if data, has := all["data"]; has {
		all["data"] = without(data, field)
	}
	changed, err := json.Marshal(all)
	if err != nil {
		panic(err) // it came from JSON
	}
	return changed
}

// asOpenBao reports whether the lab's Vaults are to answer as OpenBao does.
func asOpenBao() bool { return os.Getenv("HARVEST_AS") == "openbao" }
