"""Where code is reviewed: GitHub and GitLab, spoken to through their REST APIs."""
