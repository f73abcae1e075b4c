"""The review station: a web page where a person checks, corrects and signs a differential."""
