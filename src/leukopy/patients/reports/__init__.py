"""Pages and pictures of patients."""
