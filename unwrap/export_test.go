package unwrap

import "paperknife/internal/cms"

// Stats are the operations of a layer's decryption.
func Stats(l Layer) cms.Stats { return l.stats }
