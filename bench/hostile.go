package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/jwksharvest/harvest/bench/internal/compare"
	"github.com/jwksharvest/harvest/jwks"
)

// The hostile documents.
const (
	caseEndless = "a body of 1 GiB"
	caseMany    = "100,000 members"
	caseLarge   = "1,000 RSA keys of 4096 bits"
	caseDeep    = "arrays nested 9,000 deep, 50 times"
)

const (
	endless = 1 << 30
	// memoryForEndless is what a machine needs to read all of it: the reader takes 9 GiB.
	memoryForEndless = 12 << 30
)

// childFlag makes of this program one fetch of a key set.
const childFlag = "-fetch"

// hostile compares what documents cost that nobody publishes in good faith.
func hostile() *compare.Table {
	documents := map[string][]byte{}
	var address string
	fetch := func(how string) func(context.Context, *compare.Env, string) (compare.Measures, error) {
		return func(ctx context.Context, _ *compare.Env, name string) (compare.Measures, error) {
			if how == "unbounded" && name == caseEndless && compare.MachineMemory() < memoryForEndless {
				return nil, compare.ErrNotApplicable
			}
			self, err := os.Executable()
			if err != nil {
				return nil, err
			}
			return compare.Process(ctx, "", nil, self, childFlag, how, address+"/"+strings.ReplaceAll(name, " ", "+"))
		}
	}
	return &compare.Table{
		Name:  "hostile",
		Title: "A hostile server",
		Text: "Peak memory (resident) and time of a process that fetches one document and reads it: with `jwks.Client`, and as it " +
			"is often done, with `io.ReadAll` and `json.Unmarshal` into `jose.JSONWebKeySet`. harvest refuses what is larger " +
			"than 1 MiB or has more than 1,000 members; the rest is judged.",
		Metrics:    []compare.Metric{{Unit: "peak-B", Name: "peak memory"}, {Unit: "ns", Name: "time"}},
		Cases:      []string{caseEndless, caseMany, caseLarge, caseDeep},
		MaxRounds:  5,
		CaseRounds: map[string]int{caseEndless: 1}, // a reader of it takes a minute and more
		Contenders: []compare.Contender{{Name: "harvest", Measure: fetch("bounded")}, {Name: "unbounded reader", Measure: fetch("unbounded")}},
		Setup: func(ctx context.Context, env *compare.Env) error {
			var err error
			if documents[caseMany], err = keySet(kindEd25519, 100_000); err != nil {
				return err
			}
			if documents[caseLarge], err = keySet(kindLarge, 1000); err != nil {
				return err
			}
			if len(documents[caseLarge]) > jwks.MaxDocument {
				return fmt.Errorf("%d bytes of large keys, over the bound", len(documents[caseLarge]))
			}
			deep := strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + ","
			documents[caseDeep] = []byte(`{"keys":[{"x":[` + strings.Repeat(deep, 50) + `""]}]}`)
			address, err = serve(ctx, env, documents)
			return err
		},
	}
}

// serve answers with the documents until the table is measured.
func serve(ctx context.Context, env *compare.Env, documents map[string][]byte) (string, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/jwk-set+json")
		name := strings.ReplaceAll(strings.TrimPrefix(r.URL.Path, "/"), "+", " ")
		if name != caseEndless {
			w.Write(documents[name])
			return
		}
		// Members, so that a reader has something to do.
		member := []byte(strings.Repeat(`{"kty":"OKP","crv":"Ed25519","kid":"0","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},`, 1000))
		_, _ = io.WriteString(w, `{"keys":[`)
		for sent := 0; sent < endless; sent += len(member) {
			if _, err := w.Write(member); err != nil {
				return // the reader had enough
			}
		}
		_, _ = io.WriteString(w, `{}]}`)
	})}
	go func() { _ = server.Serve(listener) }()
	env.Cleanup(func() { _ = server.Close() })
	return "http://" + listener.Addr().String(), nil
}

func fetchOnce(how, url string) error {
	if how == "bounded" {
		_, err := jwks.URL(url, nil).Fetch(context.Background())
		if errors.Is(err, jwks.ErrTooLarge) || errors.Is(err, jwks.ErrNoKeys) {
			return nil
		}
		return err
	}
	response, err := http.Get(url) // what a careless reader does
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	var set jose.JSONWebKeySet
	_ = json.Unmarshal(body, &set) // that may fail, at whatever cost
	return nil
}
