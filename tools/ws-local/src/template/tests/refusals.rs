//! Templates that are refused, and the error messages.

use super::*;

/// `echo.yaml` with one piece of text replaced.
fn echo_with(piece: &str, replacement: &str) -> String {
    let source = include_str!("../../../tests/templates/echo.yaml");
    assert!(source.contains(piece), "{piece}");
    let source = source.replacen(piece, replacement, 1);
    match parse(&source, Path::new(""), &BTreeMap::new()) {
        Ok(_) => panic!("{replacement} is accepted"),
        Err(fault) => fault.to_string(),
    }
}

#[test]
fn an_api_that_aws_would_refuse_or_open_is_refused() {
    let auth = |auth: &str| format!("      Auth: {auth}\n      Routes:");
    let route = "        $default:";
    let arn = "FunctionArn: {'Fn::GetAtt': [Echo, Arn]}";
    for (piece, replacement, problem) in [
        ("AWS::Serverless::WebSocketApi", "AWS::S3::Bucket".to_owned(), "Resources: exactly one"),
        ("      Routes:", auth("{AuthType: custom}"), "Socket.Properties.Auth.AuthType: the AuthType \"custom\""),
        ("      Routes:", auth("{AuthType: AWS_IAM}"), "this machine has no IAM"),
        ("      Routes:", auth("{AuthType: CUSTOM}"), "Auth: `AuthArn` is missing"),
        ("      Routes:", auth("{Name: x}"), "Auth: `AuthType` is missing"),
        ("      Routes:", auth("{AuthType: CUSTOM, AuthArn: !GetAtt Echo.Arn}"), "needs a $connect route"),
        ("      Routes:", "      StageName: $default\n      Routes:".to_owned(), "stage name \"$default\""),
        ("      RouteSelectionExpression: $request.body.action\n", String::new(), "`RouteSelectionExpression` is"),
        (route, "        $other:".to_owned(), "the route key `$other`"),
        (route, format!("        a: {{{arn}}}\n        A:"), "the route key `A` differs"),
        (arn, "FunctionArn: Echo".to_owned(), "`Echo` is not the ARN of a function"),
        (arn, "FunctionArn: !GetAtt Report.Arn".to_owned(), "`Report` can't run here"),
        (arn, "FunctionArn: !GetAtt Ech.Arn".to_owned(), "`Ech` is not a parameter, resource"),
        (arn, "Function: x".to_owned(), "a route has no property `Function`"),
        (arn, "OperationName: x".to_owned(), "`FunctionArn` is missing"),
        (arn, format!("{arn}\n          IntegrationTimeout: 30000"), "50 to 29000 (milliseconds)"),
        (arn, format!("{arn}\n          RouteResponseSelectionExpression: x"), "this must be $default"),
    ] {
        let fault = echo_with(piece, &replacement);
        assert!(fault.contains(problem), "{replacement}: {fault}");
    }
}

#[test]
fn a_function_or_table_with_impossible_values_is_refused() {
    for (piece, replacement, problem) in [
        ("      CodeUri: echo", "      Memory: 1", "Resources.Echo: `CodeUri` is missing"),
        ("      CodeUri: echo", "      CodeUri: echo\n      Timeout: 901", "1 to 900 (seconds)"),
        ("      CodeUri: echo", "      CodeUri: echo\n      MemorySize: lots", "128 to 10240 (MB)"),
        ("SimpleTable", "SimpleTable\n    Properties: {PrimaryKey: {Name: a, Type: S}}", "String, Number or Binary"),
        ("AWS::Serverless::SimpleTable", "AWS::DynamoDB::Table", "`Properties` is missing"),
        ("  Counter:\n    Type: AWS::Serverless::SimpleTable", "  Counter: {}", "`Type` is missing"),
    ] {
        let fault = echo_with(piece, replacement);
        assert!(fault.contains(problem), "{replacement}: {fault}");
    }
}

#[test]
fn a_route_response_for_no_route_is_refused() {
    let response = "  R:\n    Type: AWS::ApiGatewayV2::RouteResponse\n    Properties: {RouteResponseKey: $default, RouteId: ID}\n  Report:";
    for (id, problem) in [("!Ref Echo", "`Echo` is not a route"), ("!Ref SocketTypoRoute", "`SocketTypoRoute` is not")]
    {
        let fault = echo_with("  Report:", &response.replace("ID", id));
        assert!(fault.contains("R.Properties.RouteId") && fault.contains(problem), "{fault}");
    }
}

#[test]
fn a_missing_template_is_named() {
    let error = load(Path::new("nowhere/template.yaml"), &BTreeMap::new()).unwrap_err();
    assert_eq!(error.to_string(), "the template nowhere/template.yaml can't be read");
}
