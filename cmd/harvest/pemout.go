package main

import (
	"fmt"

	"github.com/jwksharvest/harvest/internal/keydir"
	"github.com/jwksharvest/harvest/internal/text"
)

// writeKeys makes a -out directory hold these keys. Each change is a line on stdout.
func (a *app) writeKeys(dir string, harvested []harvestedKey, keep bool) error {
	keys := make([]keydir.Key, len(harvested))
	for i, k := range harvested {
		keys[i] = keydir.Key{KeyID: k.key.KeyID, Block: k.block, Text: k.text}
	}
	err := keydir.Write(dir, keys, keep, func(c keydir.Change, file string) {
		switch c {
		case keydir.Written:
			a.out.Printf("+ %s\n", text.Escape(file))
		case keydir.Removed:
			a.out.Printf("- %s\n", text.Escape(file))
		case keydir.Left:
			a.says.Warn("%s was changed since harvest wrote it: not removed, though its key is gone", file)
		}
	})
	if err != nil {
		return fmt.Errorf("-out: %w", err)
	}
	return nil
}
