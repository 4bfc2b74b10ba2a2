package render

import (
	"github.com/jwksharvest/harvest/internal/keydir"
	"github.com/jwksharvest/harvest/internal/text"
	"github.com/jwksharvest/harvest/pem"
)

// Keys writes keys as PEM.
func (o *Output) Keys(keys []keydir.Key) {
	for _, k := range keys {
		_, _ = o.Write(k.Text)
	}
}

// KeysJSON writes keys as JSON.
func (o *Output) KeysJSON(keys []keydir.Key) {
	type record struct {
		KeyID       string          `json:"kid"`
		Algorithm   string          `json:"alg"`
		Algorithms  []string        `json:"algs,omitempty"` // where there are several
		Use         string          `json:"use"`
		Fingerprint pem.Fingerprint `json:"sha256"`
		PEM         string          `json:"pem"`
	}
	var all []record
	for _, k := range keys {
		r := record{KeyID: k.KeyID, Use: k.Use, Fingerprint: k.Block.Fingerprint(), PEM: string(k.Text)}
		if len(k.Algorithms) > 0 {
			r.Algorithm = k.Algorithms[0]
		}
		if len(k.Algorithms) > 1 {
			r.Algorithms = k.Algorithms
		}
		all = append(all, r)
	}
	o.JSON(all)
}

// KeyFile writes what became of the file of a key, if it is written or removed.
func (o *Output) KeyFile(c keydir.Change, file string) {
	if sign := map[keydir.Change]string{keydir.Written: signAdd, keydir.Removed: signRemove}[c]; sign != "" {
		o.Printf("%s %s\n", sign, text.Escape(file))
	}
}
