"""Tables, figures and pages, drawn from recorded measurements only; nothing here measures."""
